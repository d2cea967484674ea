"""Models of Meta."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, on_hub
from limpide.hub.licences import LLAMA_3_1, LLAMA_3_2, LLAMA_3_3, LLAMA_4
from limpide.hub.shape import ModelShape

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    on_hub(
        "llama3.2-1b",
        "Llama 3.2 1B Instruct",
        publisher="Meta",
        repo="bartowski/Llama-3.2-1B-Instruct-GGUF",
        architecture="llama",
        context=131_072,
        licence=LLAMA_3_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(16, 2_048, 32, 8, 64, 8_192, 128_256, 1_235_814_400),
    ),
    on_hub(
        "llama3.2-3b",
        "Llama 3.2 3B Instruct",
        publisher="Meta",
        repo="bartowski/Llama-3.2-3B-Instruct-GGUF",
        architecture="llama",
        context=131_072,
        licence=LLAMA_3_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(28, 3_072, 24, 8, 128, 8_192, 128_256, 3_212_749_824),
    ),
    on_hub(
        "llama3.1-8b",
        "Llama 3.1 8B Instruct",
        publisher="Meta",
        repo="bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
        architecture="llama",
        context=131_072,
        licence=LLAMA_3_1,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(32, 4_096, 32, 8, 128, 14_336, 128_256, 8_030_261_248),
    ),
    on_hub(
        "llama3.3-70b",
        "Llama 3.3 70B Instruct",
        publisher="Meta",
        repo="bartowski/Llama-3.3-70B-Instruct-GGUF",
        architecture="llama",
        context=131_072,
        licence=LLAMA_3_3,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(80, 8_192, 64, 8, 128, 28_672, 128_256, 70_553_706_496),
    ),
    on_hub(
        "llama4-scout",
        "Llama 4 Scout 17B 16E Instruct",
        publisher="Meta",
        repo="unsloth/Llama-4-Scout-17B-16E-Instruct-GGUF",
        architecture="llama4",
        context=10_485_760,
        licence=LLAMA_4,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(48, 5_120, 40, 8, 128, 8_192, 202_048, 107_769_866_240, 16, 1),
        note="Text only here; three layers in four look back 8192 tokens.",
    ),
)
