"""How checkpoints store the tensors of recurrent layers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

from limpide.layers.weights import Weight
from limpide.models.family import TensorName, module
from limpide.models.spec import BlockSpec, DeltaNetSpec, Mamba2Spec
from limpide.models.transforms import SameShape, Shape, take_rows


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


@dataclass(frozen=True, slots=True)
class HeadRows:
    """Rows of one of DeltaNet's matrices, in a matrix that stacks several, key head by key head.

    A key head has queries, keys, and the values and gates of its value heads; or its value heads' rates and times.
    """

    part: Literal["qkv", "gate", "rate", "dt"]

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Its rows alone, in our order, a copy."""
        return take_rows(weight, self._rows(block)[0])

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Ours at their places, zeros at the others'."""
        ours, (rows, count) = _numbers(weight), self._rows(block)
        return ours.new_zeros(count, *ours.shape[1:]).index_copy(0, rows, ours)

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """The rows of all parts."""
        return (self._rows(block)[1], *shape[1:])

    def _rows(self, block: BlockSpec | None) -> tuple[Tensor, int]:
        """Where each of our rows is, and the number of stored rows."""
        if block is None or not isinstance(block.attention, DeltaNetSpec):
            raise TypeError("only DeltaNet's matrices are stacked by key heads")
        spec = block.attention
        values = spec.value_heads // spec.key_heads
        width = values * spec.value_dim
        sizes = [values, values] if self.part in ("rate", "dt") else [spec.key_dim, spec.key_dim, width, width]
        by_head = torch.arange(spec.key_heads * sum(sizes)).view(spec.key_heads, -1)
        parts = [part.flatten() for part in torch.split(by_head, sizes, dim=1)]
        rows = {"qkv": parts[:-1], "gate": parts[-1:], "rate": parts[:1], "dt": parts[1:]}[self.part]
        return torch.cat(rows), by_head.numel()


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


def deltanet(hf: str, *, stacked: bool) -> tuple[TensorName, ...]:
    """Tensors of a gated DeltaNet layer; `hf` is what stands before their names in a folder.

    `stacked`: folders have its projections in two matrices, by key heads; GGUF files only those of rates and times.
    """
    ours, gguf = "blocks.{b}.attn", "blk.{b}"
    if stacked:
        qkvz, ba, gguf_ba = f"{hf}.in_proj_qkvz.weight", f"{hf}.in_proj_ba.weight", f"{gguf}.ssm_ba.weight"
        rate, dt = HeadRows("rate"), HeadRows("dt")
        projections: tuple[TensorName, ...] = (
            TensorName(f"{ours}.qkv.weight", qkvz, f"{gguf}.attn_qkv.weight", hf_transform=HeadRows("qkv")),
            TensorName(f"{ours}.gate.weight", qkvz, f"{gguf}.attn_gate.weight", hf_transform=HeadRows("gate")),
            TensorName(f"{ours}.rate.weight", ba, gguf_ba, rate, rate),
            TensorName(f"{ours}.dt.weight", ba, gguf_ba, dt, dt),
        )
    else:
        projections = (
            TensorName(f"{ours}.qkv.weight", f"{hf}.in_proj_qkv.weight", f"{gguf}.attn_qkv.weight"),
            TensorName(f"{ours}.gate.weight", f"{hf}.in_proj_z.weight", f"{gguf}.attn_gate.weight"),
            TensorName(f"{ours}.rate.weight", f"{hf}.in_proj_b.weight", f"{gguf}.ssm_beta.weight"),
            TensorName(f"{ours}.dt.weight", f"{hf}.in_proj_a.weight", f"{gguf}.ssm_alpha.weight"),
        )
    return (
        *projections,
        TensorName(f"{ours}.conv.weight", f"{hf}.conv1d.weight", f"{gguf}.ssm_conv1d.weight", hf_transform=OneInput()),
        TensorName(f"{ours}.dt_bias", f"{hf}.dt_bias", f"{gguf}.ssm_dt.bias"),
        TensorName(f"{ours}.decay", f"{hf}.A_log", f"{gguf}.ssm_a", DecayFromLogarithm()),
        TensorName(f"{ours}.norm.weight", f"{hf}.norm.weight", f"{gguf}.ssm_norm.weight"),
        TensorName(f"{ours}.o.weight", f"{hf}.out_proj.weight", f"{gguf}.ssm_out.weight"),
    )
