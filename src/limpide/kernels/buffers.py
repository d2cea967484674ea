"""Memory for intermediate results, used again by the next layer instead of being asked of the system anew."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.kernels.tiles import MANY_STEP


@dataclass(frozen=True, slots=True)
class ByteRows:
    """Activations rounded to bytes. Shared by all matrices that the same activations are multiplied with."""

    q: Tensor
    """[2, rows padded to a multiple of 4, columns] int8: the values, and what rounding lost where that is much"""
    scales: Tensor
    """[2, padded rows, columns / 32] float32; a second scale of zero says that nothing was kept"""
    sums: Tensor
    """[2, padded rows, columns / 16] float32: sums of the rounded values, times their scale"""
    rows: int
    padded: int
    columns: int
    addresses: tuple[int, int, int]

    @classmethod
    def empty(cls, rows: int, columns: int) -> ByteRows:
        """Room for so many rows. Rows of padding hold whatever was in memory: what comes of them is never stored."""
        padded = (rows + MANY_STEP - 1) // MANY_STEP * MANY_STEP
        q = torch.empty((2, padded, columns), dtype=torch.int8)
        scales = torch.empty((2, padded, columns // 32))
        sums = torch.empty((2, padded, columns // 16))
        return cls(q, scales, sums, rows, padded, columns, (q.data_ptr(), scales.data_ptr(), sums.data_ptr()))


class Buffers:
    """Results by name and shape. Whoever takes a name again overwrites what was there."""

    def __init__(self) -> None:
        self._tensors: dict[tuple[str, int, int], Tensor] = {}
        self._rows: dict[tuple[int, int], ByteRows] = {}

    def tensor(self, name: str, rows: int, columns: int) -> Tensor:
        """float32 [rows, columns], content undefined."""
        key = (name, rows, columns)
        found = self._tensors.get(key)
        if found is None:
            found = self._tensors[key] = torch.empty((rows, columns))
        return found

    def rows(self, rows: int, columns: int) -> ByteRows:
        """Room for rounded activations: one for all of a shape, for they are multiplied before others are rounded."""
        key = (rows, columns)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = ByteRows.empty(rows, columns)
        return found
