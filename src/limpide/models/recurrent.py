"""How checkpoints store the tensors of recurrent layers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor

from limpide.layers.weights import Weight
from limpide.models.family import TensorName, module
from limpide.models.spec import BlockSpec, Mamba2Spec
from limpide.models.transforms import SameShape, Shape


@dataclass(frozen=True, slots=True)
class DecayFromLogarithm(SameShape):
    """Below zero as we have it, the logarithm of its negative as it was trained."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """−exp(stored)."""
        return -_numbers(weight).exp()

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """log(−ours)."""
        return (-_numbers(weight)).log()


@dataclass(frozen=True, slots=True)
class Column:
    """A vector that a checkpoint stores as a matrix of one column."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[n, 1] to [n]."""
        return _numbers(weight).flatten()

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[n] to [n, 1]."""
        return _numbers(weight).unsqueeze(1)

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """[n, 1]."""
        return (*shape, 1)


@dataclass(frozen=True, slots=True)
class ByGroup:
    """A weight per group that a checkpoint stores as one vector."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[groups · width] to [groups, width]."""
        if block is None or not isinstance(block.attention, Mamba2Spec):
            raise TypeError("only state spaces have groups")
        return _numbers(weight).view(block.attention.groups, -1)

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[groups, width] to [groups · width]."""
        return _numbers(weight).flatten()

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """[groups · width]."""
        return (prod(shape),)


@dataclass(frozen=True, slots=True)
class OneInput:
    """A convolution's weights with a dimension for its inputs, of which each channel has one."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[channels, 1, kernel] to [channels, kernel]."""
        return _numbers(weight).squeeze(1)

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[channels, kernel] to [channels, 1, kernel]."""
        return _numbers(weight).unsqueeze(1)

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """[channels, 1, kernel]."""
        return (shape[0], 1, *shape[1:])


def _numbers(weight: Weight) -> Tensor:
    """Small tensors, expanded where they are still as stored."""
    return weight if isinstance(weight, Tensor) else weight.unpack()


def mamba(hf: str) -> tuple[TensorName, ...]:
    """Tensors of a Mamba-2 layer; `hf` is what stands before their names in a folder."""
    ours, gguf = "blocks.{b}.attn", "blk.{b}"
    return (
        *module(f"{ours}.input", f"{hf}.in_proj", f"{gguf}.ssm_in"),
        TensorName(f"{ours}.conv.weight", f"{hf}.conv1d.weight", f"{gguf}.ssm_conv1d.weight", hf_transform=OneInput()),
        TensorName(f"{ours}.conv.bias", f"{hf}.conv1d.bias", f"{gguf}.ssm_conv1d.bias"),
        TensorName(f"{ours}.dt_bias", f"{hf}.dt_bias", f"{gguf}.ssm_dt.bias"),
        TensorName(f"{ours}.decay", f"{hf}.A_log", f"{gguf}.ssm_a", DecayFromLogarithm(), Column()),
        TensorName(f"{ours}.skip", f"{hf}.D", f"{gguf}.ssm_d", gguf_transform=Column()),
        TensorName(f"{ours}.norm.weight", f"{hf}.norm.weight", f"{gguf}.ssm_norm.weight", hf_transform=ByGroup()),
        *module(f"{ours}.o", f"{hf}.out_proj", f"{gguf}.ssm_out"),
    )
