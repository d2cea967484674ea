"""What the catalog knows of a model, and the two ways in which its weights are named."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limpide.core.thinking import Capability
from limpide.hub.licences import Licence
from limpide.hub.reference import HubReference
from limpide.hub.shape import ModelShape
from limpide.hub.sources import Source

_BITS = {
    "Q4_K_M": (4.53, 5.53, 6.5625),
    "Q4_0": (4.5, 4.5, 8.5),
    "Q8_0": (8.5, 8.5, 8.5),
    "MXFP4": (4.25, 4.25, 8.5),
    "F32": (32.0, 32.0, 32.0),
}
"""Bits that files of a type take for a number: of most matrices, of those down to the residual stream (half of which
Q4_K_M keeps in six bits), and of the output matrix. Files of gpt-oss have only the experts in MXFP4."""
_ODD = (5.55, 7.0, 8.5)
"""The same in Q4_K_M of matrices whose width is no multiple of 256: they get other types."""
_MIX = re.compile(r"_(S|M|L|XL)$")


def estimated_bytes(shape: ModelShape, stored: str) -> int:
    """The size of a file that nobody has looked up: within 2 % of the public sizes that the tests name."""
    most, down, output = _BITS[stored]
    if stored == "Q4_K_M":
        most, output = (_ODD[0], _ODD[2]) if shape.hidden % 256 else (most, output)
        down = _ODD[1] if shape.feed_forward % 256 else down
    downs = shape.layers * max(1, shape.experts) * shape.hidden * shape.feed_forward
    apart = shape.vocabulary * shape.hidden
    if stored == "MXFP4":
        apart = shape.parameters - 3 * downs
    return round(((shape.parameters - apart - downs) * most + downs * down + apart * output) / 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One known model."""

    name: str
    title: str
    publisher: str
    parameters: int
    size_bytes: int
    format: str
    """The weights' dominant stored format, as GGUF names it."""
    architecture: str
    """As GGUF names it."""
    context: int
    """Tokens that the model was trained to hold."""
    licence: Licence
    base_licences: tuple[Licence, ...] = ()
    """Terms of the models that it was made from, which go on applying."""
    shape: ModelShape | None
    """None if only the size is known."""
    thinking: Capability
    dialect: str
    """Name of the thinking dialect in `limpide.text.thinking_dialects`."""
    chat: bool = True
    """Whether it was taught to follow a conversation; a base model only continues text."""
    note: str = ""

    @property
    def dominant_type(self) -> str:
        """The type of most blocks: `Q4_K` of a Q4_K_M file."""
        return _MIX.sub("", self.format)

    @property
    def licences(self) -> tuple[Licence, ...]:
        """All terms that apply, the model's own first."""
        return (self.licence, *self.base_licences)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedEntry(CatalogEntry):
    """One file, bit for bit, whatever the source it comes from.

    The checksum belongs to the file. A source that carries other bytes (another quantization, another conversion) is
    not a source of this entry, however alike the models are.
    """

    filename: str
    sha256: str
    sources: tuple[Source, ...]
    """Tried in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubEntry(CatalogEntry):
    """A repository of the Hugging Face hub. What arrives is checked against the sha256 that the hub itself states.

    So a damaged or exchanged download is noticed, but not what the repository's owner changes.
    """

    weights: HubReference
    listed: bool
    """Whether `size_bytes` is the file's as public sources list it; else it is estimated from the shape."""
    seen: bool = True
    """Whether the repository was found in public sources under this name (November 2026). No branch is pinned."""


def on_hub(
    name: str,
    title: str,
    *,
    publisher: str,
    repo: str,
    architecture: str,
    context: int,
    licence: Licence,
    thinking: Capability,
    dialect: str,
    shape: ModelShape,
    file: str | None = None,
    size_bytes: int | None = None,
    stored: str = "Q4_K_M",
    base_licences: tuple[Licence, ...] = (),
    chat: bool = True,
    seen: bool = True,
    note: str = "",
) -> HubEntry:
    """An entry whose weights lie on the hub.

    Of several GGUF files the one that `hf:` references prefer is taken, unless `file` names one, or a quantization.
    `size_bytes` is what public sources list; without it the size is estimated.
    """
    return HubEntry(
        name=name,
        title=title,
        publisher=publisher,
        parameters=shape.parameters,
        size_bytes=estimated_bytes(shape, stored) if size_bytes is None else size_bytes,
        format=stored,
        architecture=architecture,
        context=context,
        licence=licence,
        base_licences=base_licences,
        shape=shape,
        thinking=thinking,
        dialect=dialect,
        chat=chat,
        note=note,
        weights=HubReference(repo, file=file),
        listed=size_bytes is not None,
        seen=seen,
    )
