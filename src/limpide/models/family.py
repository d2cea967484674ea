"""What a model family declares: how to recognise it, read its configuration and name its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from limpide.formats import Checkpoint
from limpide.models.config import ConfigReader
from limpide.models.renamed import renamed
from limpide.models.spec import BlockSpec, ModelSpec
from limpide.models.transforms import Shape, Transform

Kind = Literal["gguf", "safetensors"]


@dataclass(frozen=True, slots=True)
class TensorName:
    """One tensor under three names; `{b}` stands for the number of a block."""

    ours: str
    hf: str
    gguf: str
    hf_transform: Transform | None = None
    gguf_transform: Transform | None = None


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one of our tensors is found in a checkpoint, and what to do with it."""

    name: str
    transform: Transform | None
    block: BlockSpec | None

    def shape(self, ours: Shape) -> Shape:
        """The stored shape of a tensor that has the shape `ours` once it is loaded."""
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


@dataclass(frozen=True, slots=True)
class Family:
    """A declaration. Holds no forward pass."""

    name: str
    gguf_architectures: tuple[str, ...]
    """Values of `general.architecture`."""
    hf_model_types: tuple[str, ...]
    hf_architectures: tuple[str, ...]
    from_gguf: Callable[[ConfigReader, Checkpoint], ModelSpec]
    from_hf: Callable[[ConfigReader], ModelSpec]
    tensors: tuple[TensorName, ...]
    unused_tensors: tuple[str, ...] = ()
    """Patterns (fnmatch) of stored tensors that take no part in the computation."""
    hf_prefixes: tuple[tuple[str, str], ...] = ()
    """Beginnings of names in some Hugging Face files, and what `tensors` has in their place."""

    def view(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint under the names of `tensors`."""
        if checkpoint.kind == "gguf" or not self.hf_prefixes:
            return checkpoint
        return renamed(checkpoint, self.hf_prefixes)

    def stored_names(self, spec: ModelSpec, kind: Kind) -> Mapping[str, StoredTensor]:
        """Our names to the checkpoint's, for every tensor that this family can have."""
        names: dict[str, StoredTensor] = {}
        for row in self.tensors:
            theirs, transform = (row.gguf, row.gguf_transform) if kind == "gguf" else (row.hf, row.hf_transform)
            if "{b}" not in row.ours:
                names[row.ours] = StoredTensor(theirs, transform, None)
                continue
            for index, block in enumerate(spec.blocks):
                number = str(index)
                names[row.ours.replace("{b}", number)] = StoredTensor(theirs.replace("{b}", number), transform, block)
        return names
