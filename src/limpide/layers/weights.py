"""Where a layer takes its weights from when it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from limpide.quant import StoredMatrix

Weight = Tensor | StoredMatrix


class ExpertStack(Protocol):
    """One matrix of every expert of a layer, left where and as it is stored. `quant.QuantStack` is the usual one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(experts, out, in)."""

    @property
    def nbytes(self) -> int:
        """Bytes of all as stored."""

    def matrix(self, expert: int) -> Weight:
        """One expert's matrix [out, in]. Reads nothing of the others."""


class Weights:
    """A model's tensors by our names, seen from one module's prefix.

    The loader has checked names and shapes before; a missing one here is a mistake of ours and raises KeyError.
    """

    def __init__(self, tensors: Mapping[str, Weight | ExpertStack], prefix: str = "") -> None:
        self._tensors = tensors
        self._prefix = prefix

    def at(self, name: str) -> Weights:
        """The same tensors, seen from a child."""
        return Weights(self._tensors, f"{self._prefix}{name}.")

    def matrix(self, name: str) -> Weight:
        """A matrix, as float32 or still in its stored blocks."""
        weight = self._tensors[self._prefix + name]
        if not isinstance(weight, Tensor | StoredMatrix):
            raise TypeError(f"{self._prefix + name} is a stack of matrices")
        return weight

    def stack(self, name: str) -> Tensor | ExpertStack:
        """A matrix per expert, as float32 [experts, out, in] or as stored."""
        weight = self._tensors[self._prefix + name]
        if isinstance(weight, StoredMatrix):
            raise TypeError(f"{self._prefix + name} is one matrix")
        return weight

    def expanded(self, name: str) -> Tensor:
        """A float32 matrix, however it is stored: for small ones."""
        weight = self.matrix(name)
        return weight.unpack() if isinstance(weight, StoredMatrix) else weight

    def vector(self, name: str) -> Tensor:
        """A float32 vector."""
        tensor = self.matrix(name)
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{self._prefix + name} is stored in {tensor.stored_as} form, a vector can't be")
        return tensor
