"""Models of Microsoft."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, on_hub
from limpide.hub.licences import MIT
from limpide.hub.shape import ModelShape

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    on_hub(
        "phi3-mini",
        "Phi-3 Mini 4K Instruct",
        publisher="Microsoft",
        repo="microsoft/Phi-3-mini-4k-instruct-gguf",
        file="Phi-3-mini-4k-instruct-q4.gguf",  # a Q4_K_M by a name of its own; the other file is half precision
        size_bytes=2_393_231_072,
        architecture="phi3",
        context=4_096,
        licence=MIT,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(32, 3_072, 32, 32, 96, 8_192, 32_064, 3_821_079_552),
    ),
    on_hub(
        "phi4",
        "Phi-4 14B",
        publisher="Microsoft",
        repo="bartowski/phi-4-GGUF",
        architecture="phi3",
        context=16_384,
        licence=MIT,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(40, 5_120, 40, 10, 128, 17_920, 100_352, 14_659_507_200),
    ),
)
