"""A matrix that stays as it was stored."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpide.core.errors import UnsupportedFormat
from limpide.formats.base import TensorInfo
from limpide.quant.base import Format
from limpide.quant.matrix import StoredMatrix
from limpide.quant.registry import get_format


@dataclass(frozen=True, slots=True, eq=False)
class QuantTensor(StoredMatrix):
    """Rows of blocks. The bytes may be a memory map: nothing is read before it is used."""

    format: Format
    shape: tuple[int, int]
    """(rows, cols), in numbers."""
    data: Tensor
    """uint8 [rows, row_bytes], contiguous."""

    def __post_init__(self) -> None:
        rows, cols = self.shape
        expected = (rows, self.format.row_bytes(cols))
        if self.data.dtype != torch.uint8 or tuple(self.data.shape) != expected or not self.data.is_contiguous():
            raise ValueError(
                f"{self.format.name} of shape {self.shape} is contiguous uint8 {expected}, "
                f"not {self.data.dtype} {tuple(self.data.shape)}"
            )

    @classmethod
    def from_raw(cls, info: TensorInfo, raw: npt.NDArray[np.uint8]) -> QuantTensor:
        """Wrap a tensor of a checkpoint, without a copy. Leading dimensions become rows; a vector is one row.

        Raises UnsupportedFormat, naming the tensor.
        """
        try:
            stored = get_format(info.format)
        except UnsupportedFormat as error:
            raise UnsupportedFormat(
                f"tensor {info.name!r}: {error.what}", expected=error.expected, hint=error.hint
            ) from None
        cols = info.shape[-1] if info.shape else 1
        rows = prod(info.shape[:-1])
        return cls(stored, (rows, cols), torch.from_numpy(raw).view(rows, stored.row_bytes(cols)))

    @property
    def stored_as(self) -> str:
        """The name of its format."""
        return self.format.name

    @property
    def row_bytes(self) -> int:
        """Bytes per row."""
        return self.data.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole matrix as stored."""
        return self.data.numel()

    @property
    def address(self) -> int:
        """Where its bytes lie."""
        return self.data.data_ptr()

    def rows(self, which: slice) -> QuantTensor:
        """A run of rows as a matrix of its own, on the same bytes; rows that don't lie together are copied."""
        data = self.data[which].contiguous()
        return QuantTensor(self.format, (data.shape[0], self.shape[1]), data)

    def unpack(self, rows: Tensor | slice | None = None) -> Tensor:
        """Expand all rows, a run of them, or those that an index tensor [...] names; only these are read.

        Returns float32 [rows, cols] or [..., cols]. IndexError if an index is out of range.
        """
        if rows is None:
            return self.format.unpack(self.data)
        if isinstance(rows, slice):
            return self.format.unpack(self.data[rows])
        taken = self.data.index_select(0, rows.reshape(-1))
        return self.format.unpack(taken).view(*rows.shape, self.shape[1])
