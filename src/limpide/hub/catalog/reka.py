"""Models of Reka AI."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, on_hub
from limpide.hub.licences import APACHE_2
from limpide.hub.shape import ModelShape

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    on_hub(
        "reka-flash-3",
        "Reka Flash 3 21B",
        publisher="Reka AI",
        repo="bartowski/RekaAI_reka-flash-3-GGUF",
        architecture="llama",
        context=32_768,
        licence=APACHE_2,
        thinking=Capability.ALWAYS,
        dialect="reka",
        shape=ModelShape(44, 6_144, 64, 8, 96, 19_648, 100_352, 20_905_482_240),
    ),
)
