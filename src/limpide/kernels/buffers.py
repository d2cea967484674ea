"""Memory for intermediate results, used again by the next layer instead of being asked of the system anew."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.kernels.arguments import Recording, record
from limpide.kernels.pool import num_threads
from limpide.kernels.tiles import MANY_STEP

MOST_ROWS = 640
"""Rows that lasting buffers have room for together: a prompt's chunk and the usual batches."""

MOST_RECORDINGS = 32
"""Different steps of one number of rows that are remembered: a walk through a trie has hardly two that are alike."""


@dataclass(frozen=True, slots=True)
class ByteRows:
    """Activations rounded to bytes. Shared by all matrices that the same activations are multiplied with."""

    q: Tensor
    """[2, rows padded to a multiple of 4, columns] int8: the values, and what rounding lost where that is much"""
    factors: Tensor
    """[2, padded rows, columns / 32, 4] float32, of each group: the scale, which is zero in the second set where
    nothing was kept; the sums of its first half, of its second half and of all, times the scale
    """
    rows: int
    padded: int
    columns: int
    addresses: tuple[int, int]

    @classmethod
    def empty(cls, rows: int, columns: int) -> ByteRows:
        """Room for so many rows. Rows of padding hold whatever was in memory: what comes of them is never stored."""
        padded = (rows + MANY_STEP - 1) // MANY_STEP * MANY_STEP
        q = torch.empty((2, padded, columns), dtype=torch.int8)
        factors = torch.empty((2, padded, columns // 32, 4))
        return cls(q, factors, rows, padded, columns, (q.data_ptr(), factors.data_ptr()))

    def take(self, rows: Tensor) -> ByteRows:
        """Copies of some rows, one behind the other, without any padding: int64 [R]."""
        q, factors = self.q.index_select(1, rows), self.factors.index_select(1, rows)
        count = len(rows)
        return ByteRows(q, factors, count, count, self.columns, (q.data_ptr(), factors.data_ptr()))


class Buffers:
    """Results by name and shape. Whoever takes a name again overwrites what was there.

    `lasting` ones serve many steps: then the calls of kernels on them can be recorded once and made again.
    """

    def __init__(self, *, lasting: bool = False) -> None:
        self.lasting = lasting
        """Whether they serve many steps"""
        self._recordings: dict[Hashable, Recording] = {}
        self._tensors: dict[tuple[str, tuple[int, ...], torch.dtype], Tensor] = {}
        self._rows: dict[tuple[int, int], ByteRows] = {}

    def tensor(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of this shape, content undefined."""
        key = (name, shape, dtype)
        found = self._tensors.get(key)
        if found is None:
            with torch.inference_mode(False):  # later steps may run without it
                found = self._tensors[key] = torch.empty(shape, dtype=dtype)
        return found

    def rows(self, rows: int, columns: int) -> ByteRows:
        """Room for rounded activations: one for all of a shape, for they are multiplied before others are rounded."""
        key = (rows, columns)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = ByteRows.empty(rows, columns)
        return found

    def hold(self, name: str, x: Tensor) -> Tensor:
        """`x`; in a place that does not change between steps, if the buffers last."""
        return self.tensor(name, *x.shape, dtype=x.dtype).copy_(x) if self.lasting else x

    @property
    def num_recordings(self) -> int:
        """How many different steps were recorded."""
        return len(self._recordings)

    def again(self, key: Hashable, work: Callable[[], object]) -> None:
        """Do some work on lasting buffers: the first time by calling it, later by making its kernels' calls again.

        All that the work does has to be calls of kernels, and what they read has to be where it was the first time.
        """
        recording = self._recordings.get(key)
        if recording is None:
            self._recordings[key] = record(work)
        else:
            recording()


class LastingBuffers(threading.local):
    """Buffers for steps by their number of rows, kept from step to step; each Python thread has its own."""

    def __init__(self) -> None:
        self._buffers: OrderedDict[tuple[int, int], Buffers] = OrderedDict()

    def at(self, rows: int) -> Buffers:
        """The buffers for a step of so many rows. Those that were used longest ago make room for others."""
        key = (rows, num_threads())
        found = self._buffers.pop(key, None)
        if found is None or found.num_recordings >= MOST_RECORDINGS:
            found = Buffers(lasting=True)
        self._buffers[key] = found
        while len(self._buffers) > 1 and sum(kept for kept, _ in self._buffers) > MOST_ROWS:
            self._buffers.popitem(last=False)
        return found
