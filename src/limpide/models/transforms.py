"""What must be done to a stored tensor before it is ours, and undone before it is stored again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from limpide.core.errors import UnsupportedFormat
from limpide.layers.weights import Weight
from limpide.models.spec import AttentionSpec, BlockSpec, MLPSpec
from limpide.quant import Layout, QuantTensor, StoredMatrix

Shape = tuple[int, ...]


class Transform(Protocol):
    """A reversible change. `block` describes the block that the tensor belongs to, None outside of blocks."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """From the checkpoint's convention to ours. Does not modify its argument."""

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """From ours to the checkpoint's: undoes `load`."""

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """In the checkpoint, the shape of a tensor that has this shape here."""


class SameShape:
    """What most transforms say of shapes."""

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """Nothing changes."""
        return shape


@dataclass(frozen=True, slots=True)
class RopeRows(SameShape):
    """GGUF interleaves each head's two halves for its own rotation; ours keeps them apart.

    Only whole rows move, so it works on stored blocks of any format, and on biases.
    """

    heads: Literal["q", "k"]

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Even rows of each head first, then the odd ones."""
        return take_rows(weight, self._order(block))

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """First and second half of each head alternately."""
        return take_rows(weight, torch.argsort(self._order(block)))

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
class Add(SameShape):
    """A constant that the checkpoint leaves out: Gemma stores norm weights without their 1."""

    amount: float

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Add it, in float32."""
        return _vector(weight) + self.amount

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Take it away."""
        return _vector(weight) - self.amount


@dataclass(frozen=True, slots=True)
class Rows:
    """A part of a matrix, or of a bias, in which the checkpoint stacks several of ours.

    Queries, keys and values stand one below the other, and so do gate and up.
    """

    part: Literal["q", "k", "v", "gate", "up"]

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Its rows alone, on the same bytes."""
        start, stop, _ = self._bounds(block)
        return weight[start:stop] if isinstance(weight, Tensor) else weight.rows(slice(start, stop))

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """The same rows: whoever writes the checkpoint stacks the parts."""
        return weight

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """The rows of all parts."""
        return (self._bounds(block)[2], *shape[1:])

    def _bounds(self, block: BlockSpec | None) -> tuple[int, int, int]:
        """First row, end, and the number of rows of all parts."""
        if block is None:
            raise TypeError("only tensors of a block are stacked")
        attention, feed_forward = block.attention, block.feed_forward
        if self.part in ("gate", "up"):
            if not isinstance(feed_forward, MLPSpec):
                raise TypeError("only an MLP's matrices are stacked; those of experts have a layout")
            stack = {"gate": feed_forward.width, "up": feed_forward.width}
        else:
            if not isinstance(attention, AttentionSpec):
                raise TypeError("only grouped-query attention's matrices are stacked")
            keys = attention.kv_heads * attention.head_dim
            stack = {"q": attention.heads * attention.head_dim, "k": keys, "v": keys}
        start = sum(size for name, size in stack.items() if list(stack).index(name) < list(stack).index(self.part))
        return start, start + stack[self.part], sum(stack.values())


@dataclass(frozen=True, slots=True)
class Transposed:
    """A matrix that the checkpoint stores as [in, out]; vectors stay as they are."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[in, out] to [out, in], a copy. Raises UnsupportedFormat for numbers that are stored in blocks of many."""
        if not isinstance(weight, Tensor):
            return _transposed(weight)
        return weight.T.contiguous() if weight.ndim == 2 else weight

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[out, in] to [in, out]."""
        return self.load(weight, block)

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """The other way round."""
        return shape[::-1]


@dataclass(frozen=True, slots=True)
class Chain:
    """One transform after another, in the order in which they load."""

    steps: tuple[Transform, ...]

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """First to last."""
        for step in self.steps:
            weight = step.load(weight, block)
        return weight

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Last to first."""
        for step in reversed(self.steps):
            weight = step.store(weight, block)
        return weight

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """Last to first."""
        for step in reversed(self.steps):
            shape = step.stored_shape(shape, block)
        return shape


def _transposed(weight: StoredMatrix) -> QuantTensor:
    if not isinstance(weight, QuantTensor) or weight.format.block_size != 1:
        raise UnsupportedFormat(
            f"a transposed matrix is stored as {weight.stored_as}, in blocks that can't be turned",
            expected="F32, F16 or BF16",
        )
    stored, (rows, cols) = weight.format, weight.shape
    numbers = weight.data.view(rows, cols, stored.block_bytes).transpose(0, 1)
    return QuantTensor(stored, (cols, rows), numbers.reshape(cols, rows * stored.block_bytes))


def _vector(weight: Weight) -> Tensor:
    if not isinstance(weight, Tensor):
        raise TypeError("a constant can't be added to stored blocks")
    return weight


def take_rows(weight: Weight, order: Tensor) -> Weight:
    """Rows by their numbers, a copy; of stored blocks the blocks."""
    if isinstance(weight, QuantTensor):
        return QuantTensor(weight.format, (len(order), weight.shape[1]), weight.data[order])
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
        stored = ours.new_zeros(self.stored_shape(tuple(ours.shape), block))
        self.layout.view(stored.unsqueeze(-1)).copy_(ours.unsqueeze(-1))
        return stored

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """[experts, 2·out]."""
        return self.layout.stored_shape((*shape, 1))[:-1]


@dataclass(frozen=True, slots=True)
class JoinedRows:
    """A matrix that a checkpoint joins with another of the same size, row by row or one below the other."""

    layout: Layout

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Ours alone, on the same bytes where its rows lie together."""
        return self.layout.view(weight) if isinstance(weight, Tensor) else self.layout.take(weight)

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """Ours at its place, zeros at the other's."""
        ours = weight if isinstance(weight, Tensor) else weight.unpack()
        stored = ours.new_zeros(self.stored_shape(tuple(ours.shape), block))
        self.layout.view(stored).copy_(ours)
        return stored

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """[2·out, in]."""
        return self.layout.stored_shape(shape)


@dataclass(frozen=True, slots=True)
class OneRow:
    """A matrix of one row that a checkpoint stores as a vector."""

    def load(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[in] to [1, in]."""
        return _vector(weight).unsqueeze(0)

    def store(self, weight: Weight, block: BlockSpec | None) -> Weight:
        """[1, in] to [in]."""
        return _vector(weight).squeeze(0)

    def stored_shape(self, shape: Shape, block: BlockSpec | None) -> Shape:
        """[in]."""
        return shape[1:]
