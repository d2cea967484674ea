"""Models of OpenAI."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, on_hub
from limpide.hub.licences import APACHE_2, GPT_2
from limpide.hub.shape import ModelShape

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    on_hub(
        "gpt2",
        "GPT-2 124M (base)",
        publisher="OpenAI",
        repo="openai-community/gpt2",
        architecture="gpt2",
        context=1_024,
        licence=GPT_2,
        thinking=Capability.NONE,
        dialect="none",
        shape=ModelShape(12, 768, 12, 12, 64, 3_072, 50_257, 124_439_808),
        stored="F32",
        chat=False,
        note="A base model: it continues text and was not taught to answer.",
    ),
    on_hub(
        "gpt-oss-20b",
        "gpt-oss 20B",
        publisher="OpenAI",
        repo="ggml-org/gpt-oss-20b-GGUF",
        architecture="gpt-oss",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.ALWAYS,
        dialect="harmony",
        shape=ModelShape(24, 2_880, 64, 8, 64, 2_880, 201_088, 20_914_757_184, 32, 4),
        stored="MXFP4",
        size_bytes=12_109_566_560,
    ),
    on_hub(
        "gpt-oss-120b",
        "gpt-oss 120B",
        publisher="OpenAI",
        repo="ggml-org/gpt-oss-120b-GGUF",
        architecture="gpt-oss",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.ALWAYS,
        dialect="harmony",
        shape=ModelShape(36, 2_880, 64, 8, 64, 2_880, 201_088, 116_829_156_672, 128, 4),
        stored="MXFP4",
    ),
)
