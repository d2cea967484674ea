"""What the catalog knows of a model, and the two ways in which its weights are named."""

from __future__ import annotations

from dataclasses import dataclass

from limpide.core.thinking import Capability
from limpide.hub.licences import Licence
from limpide.hub.reference import HubReference
from limpide.hub.shape import ModelShape
from limpide.hub.sources import Source

BITS_PER_NUMBER = {"Q4_K_M": 4.9, "Q8_0": 8.5, "MXFP4": 4.5, "BF16": 16.0, "F32": 32.0}
"""What files in a format take in all, for sizes that nobody has looked up. Formats are mixed in a file: Q4_K_M keeps
some matrices in six bits, and files of gpt-oss keep all but the experts in eight or sixteen."""


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
    """Name of the thinking dialect in `limpide.text`."""
    chat: bool = True
    """Whether it was taught to follow a conversation; a base model only continues text."""
    note: str = ""

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

    So a damaged or exchanged download is noticed, but not what the repository's owner changes. `size_bytes` is
    estimated from the number of parameters.
    """

    weights: HubReference
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
    shape: ModelShape | None = None,
    parameters: int = 0,
    stored: str = "Q4_K_M",
    base_licences: tuple[Licence, ...] = (),
    chat: bool = True,
    seen: bool = True,
    note: str = "",
) -> HubEntry:
    """An entry whose weights lie on the hub; of several GGUF files the one that `hf:` references prefer is taken.

    `parameters` is only needed without a shape.
    """
    parameters = shape.parameters if shape else parameters
    return HubEntry(
        name=name,
        title=title,
        publisher=publisher,
        parameters=parameters,
        size_bytes=round(parameters * BITS_PER_NUMBER[stored] / 8),
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
        weights=HubReference(repo),
        seen=seen,
    )
