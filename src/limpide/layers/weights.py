"""Where a layer takes its weights from when it is built."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from limpide.quant import StoredMatrix

Weight = Tensor | StoredMatrix


class Weights:
    """A model's tensors by our names, seen from one module's prefix.

    The loader has checked names and shapes before; a missing one here is a mistake of ours and raises KeyError.
    """

    def __init__(self, tensors: Mapping[str, Weight], prefix: str = "") -> None:
        self._tensors = tensors
        self._prefix = prefix

    def at(self, name: str) -> Weights:
        """The same tensors, seen from a child."""
        return Weights(self._tensors, f"{self._prefix}{name}.")

    def matrix(self, name: str) -> Weight:
        """A matrix, as float32 or still in its stored blocks."""
        return self._tensors[self._prefix + name]

    def vector(self, name: str) -> Tensor:
        """A float32 vector."""
        tensor = self._tensors[self._prefix + name]
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{self._prefix + name} is stored in {tensor.stored_as} form, a vector can't be")
        return tensor
