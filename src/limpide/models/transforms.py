"""What must be done to a stored tensor before it is ours, and undone before it is stored again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from limpide.layers.weights import Weight
from limpide.models.spec import AttentionSpec, BlockSpec
from limpide.quant import Layout, QuantTensor


class Transform(Protocol):
    """A reversible change. `block` describes the block that the tensor belongs to, None outside of blocks."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """From the checkpoint's convention to ours. Does not modify its argument."""

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """From ours to the checkpoint's: undoes `load`."""


@runtime_checkable
class Reshaping(Protocol):
    """A Transform that changes the shape too."""

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """What one of our shapes is in the checkpoint."""


@dataclass(frozen=True, slots=True)
class RopeRows:
    """GGUF interleaves each head's two halves for its own rotation; ours keeps them apart.

    Only whole rows move, so it works on stored blocks of any format, and on biases.
    """

    heads: Literal["q", "k"]

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Even rows of each head first, then the odd ones."""
        return _take_rows(weight, self._order(block))

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """First and second half of each head alternately."""
        return _take_rows(weight, torch.argsort(self._order(block)))

    def _order(self, block: BlockSpec | None) -> Tensor:
        if block is None:
            raise TypeError("only tensors of a block have heads")
        attention = block.attention
        if not isinstance(attention, AttentionSpec):
            raise TypeError("only grouped-query attention has heads of queries and keys")
        heads = attention.heads if self.heads == "q" else attention.kv_heads
        rows = torch.arange(heads * attention.head_dim)
        return rows.view(heads, attention.head_dim // 2, 2).transpose(1, 2).reshape(-1)


@dataclass(frozen=True, slots=True)
class Add:
    """A constant that the checkpoint leaves out: Gemma stores norm weights without their 1."""

    amount: float

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Add it, in float32."""
        return _vector(weight) + self.amount

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Take it away."""
        return _vector(weight) - self.amount


def _vector(weight: Weight) -> Tensor:
    if not isinstance(weight, Tensor):
        raise TypeError("a constant can't be added to stored blocks")
    return weight


def _take_rows(weight: Weight, order: Tensor) -> Weight:
    if isinstance(weight, QuantTensor):
        return QuantTensor(weight.format, weight.shape, weight.data[order])
    if not isinstance(weight, Tensor):
        raise TypeError(f"rows of a matrix stored as {weight.stored_as} can't change places")
    return weight[order]


@dataclass(frozen=True, slots=True)
class JoinedBias:
    """Biases of every expert that a checkpoint joins as it joins the matrices: [experts, 2·out]."""

    layout: Layout

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Ours alone, [experts, out]."""
        return self.layout.view(_vector(weight).unsqueeze(-1)).squeeze(-1).contiguous()

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Ours at their places, zeros at the others'."""
        ours = _vector(weight)
        stored = ours.new_zeros(self.stored_shape(tuple(ours.shape)))
        self.layout.view(stored.unsqueeze(-1)).copy_(ours.unsqueeze(-1))
        return stored

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """[experts, 2·out]."""
        return self.layout.stored_shape((*shape, 1))[:-1]


@dataclass(frozen=True, slots=True)
class OneRow:
    """A matrix of one row that a checkpoint stores as a vector."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[in] to [1, in]."""
        return _vector(weight).unsqueeze(0)

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[1, in] to [in]."""
        return _vector(weight).squeeze(0)

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """[in]."""
        return shape[1:]
