"""What every matrix that stays as it was stored can do, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class StoredMatrix(ABC):
    """Rows of numbers in a form of their own, perhaps in a memory map: nothing is read before it is used."""

    __slots__ = ()

    shape: tuple[int, int]
    """(rows, cols), in numbers."""

    @property
    @abstractmethod
    def stored_as(self) -> str:
        """The name of its format."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of the whole matrix as stored."""

    @property
    @abstractmethod
    def address(self) -> int:
        """Where its first bytes lie: the same for two modules that share it."""

    @abstractmethod
    def rows(self, which: slice) -> StoredMatrix:
        """A run of rows (or every second one, …) as a matrix of its own, on the same bytes where they allow it."""

    @abstractmethod
    def unpack(self, rows: Tensor | slice | None = None) -> Tensor:
        """Expand all rows, a run of them, or those that an index tensor [...] names; only these are read.

        Returns float32 [rows, cols] or [..., cols]. IndexError if an index is out of range.
        """
