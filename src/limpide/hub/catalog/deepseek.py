"""Models of DeepSeek."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, on_hub
from limpide.hub.licences import APACHE_2, LLAMA_3_1, LLAMA_3_3, MIT
from limpide.hub.shape import ModelShape

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    on_hub(
        "r1-distill-qwen-1.5b",
        "DeepSeek R1 Distill Qwen 1.5B",
        publisher="DeepSeek",
        repo="bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
        architecture="qwen2",
        context=131_072,
        licence=MIT,
        base_licences=(APACHE_2,),
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        shape=ModelShape(28, 1_536, 12, 2, 128, 8_960, 151_936, 1_777_088_000),
    ),
    on_hub(
        "r1-distill-qwen-7b",
        "DeepSeek R1 Distill Qwen 7B",
        publisher="DeepSeek",
        repo="bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF",
        architecture="qwen2",
        context=131_072,
        licence=MIT,
        base_licences=(APACHE_2,),
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        shape=ModelShape(28, 3_584, 28, 4, 128, 18_944, 152_064, 7_615_616_512),
    ),
    on_hub(
        "r1-distill-qwen-32b",
        "DeepSeek R1 Distill Qwen 32B",
        publisher="DeepSeek",
        repo="bartowski/DeepSeek-R1-Distill-Qwen-32B-GGUF",
        architecture="qwen2",
        context=131_072,
        licence=MIT,
        base_licences=(APACHE_2,),
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        shape=ModelShape(64, 5_120, 40, 8, 128, 27_648, 152_064, 32_763_876_352),
    ),
    on_hub(
        "r1-distill-llama-8b",
        "DeepSeek R1 Distill Llama 8B",
        publisher="DeepSeek",
        repo="bartowski/DeepSeek-R1-Distill-Llama-8B-GGUF",
        architecture="llama",
        context=131_072,
        licence=MIT,
        base_licences=(LLAMA_3_1,),
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        shape=ModelShape(32, 4_096, 32, 8, 128, 14_336, 128_256, 8_030_261_248),
    ),
    on_hub(
        "r1-distill-llama-70b",
        "DeepSeek R1 Distill Llama 70B",
        publisher="DeepSeek",
        repo="bartowski/DeepSeek-R1-Distill-Llama-70B-GGUF",
        architecture="llama",
        context=131_072,
        licence=MIT,
        base_licences=(LLAMA_3_3,),
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        shape=ModelShape(80, 8_192, 64, 8, 128, 28_672, 128_256, 70_553_706_496),
    ),
    on_hub(
        "r1-0528-qwen3-8b",
        "DeepSeek R1 0528 Qwen3 8B",
        publisher="DeepSeek",
        repo="unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF",
        architecture="qwen3",
        context=131_072,
        licence=MIT,
        base_licences=(APACHE_2,),
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        shape=ModelShape(36, 4_096, 32, 8, 128, 12_288, 151_936, 8_190_735_360),
    ),
    on_hub(
        "deepseek-r1",
        "DeepSeek R1 0528 671B",
        publisher="DeepSeek",
        repo="unsloth/DeepSeek-R1-0528-GGUF",
        architecture="deepseek2",
        context=163_840,
        licence=MIT,
        thinking=Capability.ALWAYS,
        dialect="think-tags-always-opened",
        # 61 layers keep a latent of 512 and a key part of 64
        shape=ModelShape(61, 7_168, 128, 128, 128, 2_048, 129_280, 671_026_419_200, 256, 8, kept_per_token=35_136),
    ),
)
