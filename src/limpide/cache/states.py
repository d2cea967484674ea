"""What recurrent layers carry along a sequence: a state of fixed size in place of keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from limpide.core.errors import OutOfMemory

LayerState = tuple[tuple[int, ...], ...]
"""Shapes of what one layer carries; empty for a layer that carries nothing."""

_NEVER = -1


def state_bytes(layers: Sequence[LayerState]) -> int:
    """Bytes that one sequence takes, both sides of its slot."""
    return 2 * sum(prod(shape) for layer in layers for shape in layer) * torch.float32.itemsize


class States:
    """One slot per sequence, in float32, since errors would add up.

    A slot has two sides. A step reads the one that ends where the step begins and writes the other, so a step that was
    interrupted, or failed for one sequence of many, can be computed again from what it found.
    """

    def __init__(self, layers: Sequence[LayerState], num_slots: int) -> None:
        self._ends = np.full((num_slots, 2), _NEVER, dtype=np.int64)
        """How many positions each side has seen."""
        try:
            self._layers = [tuple(torch.empty(2, num_slots, *shape) for shape in layer) for layer in layers]
        except RuntimeError as error:
            raise OutOfMemory(
                f"the system does not give {num_slots * state_bytes(layers) / 1e6:.0f} MB for recurrent layers",
                hint="ask for fewer sequences at once",
            ) from error

    def forget(self, slot: int) -> None:
        """A new sequence will use the slot."""
        self._ends[slot] = _NEVER

    def read(self, layer: int, slot: int, start: int) -> tuple[Tensor, ...] | None:
        """What a layer kept of the first `start` positions; None at the beginning. Not to be modified."""
        if start == 0:
            return None
        side = self._side(slot, start)
        return tuple(tensor[side, slot] for tensor in self._layers[layer])

    def write(self, layer: int, slot: int, start: int, end: int, state: tuple[Tensor, ...]) -> None:
        """What it keeps of the first `end`, after a step from `start` on."""
        side = 1 - self._side(slot, start) if start else 0
        for tensor, new in zip(self._layers[layer], state, strict=True):
            tensor[side, slot].copy_(new)
        if start == 0:
            self._ends[slot, 1] = _NEVER
        self._ends[slot, side] = end

    def _side(self, slot: int, start: int) -> int:
        ends: list[int] = self._ends[slot].tolist()
        if start not in ends:
            raise AssertionError(f"no state of {start} positions was kept, but of {ends}")
        return ends.index(start)
