"""What a model family declares: how to recognise it, read its configuration and name its tensors."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from limpide.formats import Checkpoint
from limpide.models.config import ConfigReader
from limpide.models.renamed import renamed
from limpide.models.spec import BlockSpec, ModelSpec
from limpide.models.transforms import Shape, Transform
from limpide.quant import Layout

Kind = Literal["gguf", "safetensors"]

_PLAIN = Layout()


@dataclass(frozen=True, slots=True)
class TensorName:
    """One tensor under three names; `{b}` stands for the number of a block.

    With a layout it is a stack of experts' matrices. `{e}` in a checkpoint's name then stands for the number of an
    expert: each matrix is a tensor of its own. Rows with the same name of ours are ways that checkpoints differ: the
    first one counts whose tensors are there.
    """

    ours: str
    hf: str
    gguf: str
    hf_transform: Transform | None = None
    gguf_transform: Transform | None = None
    hf_layout: Layout | None = None
    gguf_layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one of our tensors is found in a checkpoint, and what to do with it."""

    name: str
    transform: Transform | None
    block: BlockSpec | None
    layout: Layout | None = None
    """Of a stack of experts' matrices; then `{e}` in the name stands for each expert's number."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every tensor of the checkpoint that this one is made of."""
        mixture = None if self.block is None else self.block.mixture
        if "{e}" not in self.name or mixture is None:
            return (self.name,)
        return tuple(self.name.replace("{e}", str(expert)) for expert in range(mixture.router.experts))

    @property
    def first(self) -> str:
        """The first of these names: it stands for all."""
        return self.name.replace("{e}", "0")

    def shape(self, ours: Shape) -> Shape:
        """The stored shape of a tensor that has the shape `ours` once it is loaded; of each, if there are several."""
        if self.layout is not None:
            return self.layout.stored_shape(ours[1:] if "{e}" in self.name else ours)
        return ours if self.transform is None else self.transform.stored_shape(ours, self.block)


def module(
    ours: str, hf: str, gguf: str, *, hf_transform: Transform | None = None, gguf_transform: Transform | None = None
) -> tuple[TensorName, TensorName]:
    """The weight and the bias of a module."""
    weight, bias = (
        TensorName(f"{ours}.{part}", f"{hf}.{part}", f"{gguf}.{part}", hf_transform, gguf_transform)
        for part in ("weight", "bias")
    )
    return weight, bias


def experts(
    ours: str, hf: str, gguf: str, *, hf_layout: Layout = _PLAIN, gguf_layout: Layout = _PLAIN
) -> tuple[TensorName]:
    """One matrix of every expert, under whole names: what stands after them differs."""
    return (TensorName(f"{ours}.weight", hf, gguf, hf_layout=hf_layout, gguf_layout=gguf_layout),)


@dataclass(frozen=True, slots=True)
class Family:
    """A declaration. Holds no forward pass."""

    name: str
    gguf_architectures: tuple[str, ...]
    """Values of `general.architecture`. Several families may share one: the first that `claims` the file has it."""
    hf_model_types: tuple[str, ...]
    hf_architectures: tuple[str, ...]
    from_gguf: Callable[[ConfigReader, Checkpoint], ModelSpec]
    from_hf: Callable[[ConfigReader], ModelSpec]
    tensors: tuple[TensorName, ...]
    claims: Callable[[Mapping[str, Any]], bool] = lambda config: True
    """Whether a GGUF file of a shared architecture is this family's."""
    unused_tensors: tuple[str, ...] = ()
    """Patterns (fnmatch) of stored tensors that take no part in the computation; `{n}` is the number of blocks."""
    hf_prefixes: tuple[tuple[str, str], ...] = ()
    """Beginnings of names in some Hugging Face files, and what `tensors` has in their place."""

    def view(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint under the names of `tensors`."""
        if checkpoint.kind == "gguf" or not self.hf_prefixes:
            return checkpoint
        return renamed(checkpoint, self.hf_prefixes)

    def stored_names(self, spec: ModelSpec, kind: Kind, present: Container[str] = ()) -> Mapping[str, StoredTensor]:
        """Our names to the checkpoint's, for every tensor that this family can have.

        Where a family knows several ways to store a tensor, the one whose names are `present` is meant, else the first.
        """
        names: dict[str, StoredTensor] = {}
        for row in self.tensors:
            for ours, stored in _in_blocks(row, spec, kind):
                if ours not in names or (names[ours].first not in present and stored.first in present):
                    names[ours] = stored
        return names


def _in_blocks(row: TensorName, spec: ModelSpec, kind: Kind) -> Iterator[tuple[str, StoredTensor]]:
    theirs, transform, layout = (
        (row.gguf, row.gguf_transform, row.gguf_layout) if kind == "gguf" else (row.hf, row.hf_transform, row.hf_layout)
    )
    if "{b}" not in row.ours:
        yield row.ours, StoredTensor(theirs, transform, None, layout)
        return
    for index, block in enumerate(spec.blocks):
        number = str(index)
        yield (
            row.ours.replace("{b}", number),
            StoredTensor(theirs.replace("{b}", number), transform, block, layout),
        )
