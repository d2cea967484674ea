"""A matrix that its checkpoint keeps as several tensors: packed numbers, their scales, and what else it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from limpide.core.errors import CorruptModelFile
from limpide.formats.base import TensorInfo
from limpide.quant.base import aligned
from limpide.quant.matrix import StoredMatrix

Infos = Mapping[str, TensorInfo]
"""What a file says of each part, by the part's suffix."""
Parts = Mapping[str, Tensor]
"""The parts themselves: numbers where they are few, else bytes."""

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32}


class PartedFormat(ABC):
    """One way to spread a matrix over several tensors of a safetensors file. Knows how they are called."""

    name: ClassVar[str]
    whole: ClassVar[str]
    """Suffix of the tensor that a model asks for: `.weight`, or one of its own where the shape tells them apart."""
    sign: ClassVar[str]
    """Suffix by which a file shows that it stores such a tensor in parts."""
    required: ClassVar[tuple[str, ...]]
    """Suffixes of its parts."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Suffixes of parts that may be missing."""
    unused: ClassVar[tuple[str, ...]] = ()
    """Suffixes of tensors beside them that take no part in weights."""
    padded: ClassVar[tuple[str, ...]] = ()
    """Suffixes of tensors that files have beside them, all zeros, though the model was made without."""

    @abstractmethod
    def shape(self, infos: Infos) -> tuple[int, ...]:
        """The joint tensor's shape, (…, out, in). Raises CorruptModelFile if the parts don't fit together."""

    @abstractmethod
    def prepare(self, infos: Infos, raw: Mapping[str, Tensor]) -> Parts:
        """The parts as `expand` wants them, from their bytes (uint8, 1-D, mapped); only the small ones are read.

        Raises CorruptModelFile if what they hold makes no sense.
        """

    @abstractmethod
    def expand(self, parts: Parts, rows: range) -> Tensor:
        """Some rows as numbers: float32 [len(rows), cols], contiguous. Does not modify the parts."""


@dataclass(frozen=True, slots=True, eq=False)
class PartedMatrix(StoredMatrix):
    """A matrix in parts, or some rows of one. Leading dimensions of the stored tensor are rows."""

    format: PartedFormat
    shape: tuple[int, int]
    """(rows, cols), in numbers."""
    parts: Parts
    which: range
    """Its rows, in the numbering of the stored parts."""
    part_bytes: int
    """Bytes of all the stored parts."""
    stored_rows: int
    """Rows of all the stored parts."""

    @classmethod
    def from_raw(cls, stored: PartedFormat, infos: Infos, raw: Mapping[str, Tensor]) -> PartedMatrix:
        """Wrap the parts of a checkpoint's tensor, without a copy of the large ones. Raises CorruptModelFile."""
        shape = stored.shape(infos)
        rows = prod(shape[:-1])
        nbytes = sum(info.nbytes for info in infos.values())
        return cls(stored, (rows, shape[-1]), stored.prepare(infos, raw), range(rows), nbytes, rows)

    @property
    def stored_as(self) -> str:
        """The name of its format."""
        return self.format.name

    @property
    def nbytes(self) -> int:
        """Bytes as stored; of some rows their share."""
        return self.part_bytes * len(self.which) // max(1, self.stored_rows)

    @property
    def address(self) -> int:
        """Where its numbers lie."""
        return self.parts[self.format.required[0]].data_ptr() + self.which.start

    def rows(self, which: slice) -> PartedMatrix:
        """See `StoredMatrix.rows`."""
        taken = self.which[which]
        return PartedMatrix(
            self.format, (len(taken), self.shape[1]), self.parts, taken, self.part_bytes, self.stored_rows
        )

    def unpack(self, rows: Tensor | slice | None = None) -> Tensor:
        """See `StoredMatrix.unpack`. An index tensor costs one expansion per index."""
        if rows is None:
            return self.format.expand(self.parts, self.which)
        if isinstance(rows, slice):
            return self.format.expand(self.parts, self.which[rows])
        if rows.numel() == 0:
            return torch.empty(*rows.shape, self.shape[1])
        taken = [self.which[int(row)] for row in rows.reshape(-1).tolist()]
        values = torch.cat([self.format.expand(self.parts, range(row, row + 1)) for row in taken])
        return values.view(*rows.shape, self.shape[1])


def numbers(info: TensorInfo, raw: Tensor) -> Tensor:
    """A small part as numbers: copied only if its address in the file is odd."""
    dtype = _DTYPES[info.format]
    return aligned(raw, dtype.itemsize).view(dtype).view(info.shape)


def require_part(info: TensorInfo, formats: tuple[str, ...], shape: tuple[int, ...] | None = None) -> None:
    """Raise CorruptModelFile, naming the tensor, unless it is stored in one of these ways and has this shape."""
    if info.format not in formats:
        raise CorruptModelFile(f"tensor {info.name!r} is stored as {info.format}", expected=" or ".join(formats))
    if shape is not None and info.shape != shape:
        raise CorruptModelFile(f"tensor {info.name!r} is {list(info.shape)}", expected=f"{list(shape)}")


def require_matrix(info: TensorInfo, stored: str) -> tuple[int, int]:
    """A part's shape, which must be one of two dimensions. Raises CorruptModelFile, naming the tensor."""
    require_part(info, (stored,))
    if len(info.shape) != 2:
        raise CorruptModelFile(f"tensor {info.name!r} is {list(info.shape)}", expected="a matrix")
    return info.shape[0], info.shape[1]


def span(rows: range) -> slice:
    """The slice that takes the same rows of a tensor. ValueError for a range that runs backwards."""
    if rows.step < 1:
        raise ValueError("rows are taken from the first to the last")
    return slice(rows.start, rows.stop, rows.step)
