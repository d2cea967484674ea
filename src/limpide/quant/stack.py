"""Matrices of one shape, such as those of a layer's experts, each left where and as its file has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from limpide.core.errors import UnsupportedFormat
from limpide.quant.matrix import StoredMatrix
from limpide.quant.tensor import QuantTensor


@dataclass(frozen=True, slots=True)
class Layout:
    """How a checkpoint lays out a matrix [out, in] of ours: joined with another, or turned over."""

    part: Literal["all", "first", "second", "even", "odd"] = "all"
    """Which rows are ours: gate and up come as one matrix, one after the other or row by row in turn."""
    transposed: bool = False
    """Stored as [in, out]: then rows above are columns."""

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """What [..., out, in] is in the checkpoint."""
        *stack, rows, cols = shape
        rows = rows if self.part == "all" else 2 * rows
        return (*stack, cols, rows) if self.transposed else (*stack, rows, cols)

    def view(self, stored: Tensor) -> Tensor:
        """Our numbers [..., out, in] in the stored ones, on the same memory."""
        rows = stored.transpose(-1, -2) if self.transposed else stored
        return rows[..., self._rows(rows.shape[-2]), :]

    def take(self, stored: StoredMatrix) -> StoredMatrix | Tensor:
        """Our matrix in a stored one: still as stored, copied only where its rows don't lie together.

        Turned over it is float32, and UnsupportedFormat is raised for blocks, which run across it.
        """
        rows, cols = stored.shape
        if not self.transposed:
            return stored if self.part == "all" else stored.rows(self._rows(rows))
        if not isinstance(stored, QuantTensor) or stored.format.block_size != 1:
            raise UnsupportedFormat(
                f"a matrix that is stored turned over can't be in {stored.stored_as} blocks",
                expected="F32, F16 or BF16 numbers there",
            )
        columns = stored.data.view(rows, cols, stored.format.block_bytes)[:, self._rows(cols)]
        return stored.format.unpack(columns.flatten(1)).T

    def _rows(self, stored: int) -> slice:
        if self.part == "all":
            return slice(None)
        if self.part in ("first", "second"):
            return slice(stored // 2) if self.part == "first" else slice(stored // 2, None)
        return slice(0 if self.part == "even" else 1, None, 2)


@dataclass(frozen=True, slots=True, eq=False)
class QuantStack:
    """Matrices [out, in], taken one at a time. Nothing is read before it is used."""

    shape: tuple[int, int, int]
    """(matrices, out, in), in numbers."""
    stored: tuple[StoredMatrix, ...]
    """Each as the checkpoint has it."""
    layout: Layout = Layout()

    def __post_init__(self) -> None:
        count, *matrix = self.shape
        expected = self.layout.stored_shape(tuple(matrix))
        if len(self.stored) != count or any(tensor.shape != expected for tensor in self.stored):
            raise ValueError(f"a stack of {self.shape} in this layout is {count} tensors {expected}")

    @classmethod
    def split(cls, whole: StoredMatrix, shape: tuple[int, int, int], layout: Layout | None = None) -> QuantStack:
        """From a tensor that holds all matrices, one after the other."""
        layout = layout or Layout()
        rows, _ = layout.stored_shape(shape[1:])
        parts = tuple(whole.rows(slice(start, start + rows)) for start in range(0, shape[0] * rows, rows))
        return cls(shape, parts, layout)

    @property
    def nbytes(self) -> int:
        """Bytes of all matrices as stored, without those that they are joined with."""
        return sum(tensor.nbytes for tensor in self.stored) // (1 if self.layout.part == "all" else 2)

    def matrix(self, index: int) -> StoredMatrix | Tensor:
        """One matrix [out, in], of which alone is read: blocks, or float32 where the layout is turned over."""
        return self.layout.take(self.stored[index])

    def unpack(self) -> Tensor:
        """All of them, expanded to float32 [matrices, out, in]."""
        numbers = torch.empty(self.shape)
        for index in range(self.shape[0]):
            matrix = self.matrix(index)
            numbers[index] = matrix.unpack() if isinstance(matrix, StoredMatrix) else matrix
        return numbers
