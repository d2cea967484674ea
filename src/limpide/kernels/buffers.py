"""Memory for intermediate results, used again by the next layer instead of being asked of the system anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.kernels.arguments import Call, record
from limpide.kernels.pool import num_threads
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
    """Results by name and shape. Whoever takes a name again overwrites what was there.

    `lasting` ones serve many steps: then the calls of kernels on them can be recorded once and made again.
    """

    def __init__(self, *, lasting: bool = False) -> None:
        self._recorded: dict[Hashable, list[Call]] | None = {} if lasting else None
        self._tensors: dict[tuple[str, int, int], Tensor] = {}
        self._rows: dict[tuple[int, int], ByteRows] = {}

    def tensor(self, name: str, rows: int, columns: int) -> Tensor:
        """float32 [rows, columns], content undefined."""
        key = (name, rows, columns)
        found = self._tensors.get(key)
        if found is None:
            with torch.inference_mode(False):  # later steps may run without it
                found = self._tensors[key] = torch.empty((rows, columns))
        return found

    def rows(self, rows: int, columns: int) -> ByteRows:
        """Room for rounded activations: one for all of a shape, for they are multiplied before others are rounded."""
        key = (rows, columns)
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = ByteRows.empty(rows, columns)
        return found

    @property
    def lasting(self) -> bool:
        """Whether they serve many steps."""
        return self._recorded is not None

    def hold(self, x: Tensor) -> Tensor:
        """`x` [rows, columns] in a place that does not change between steps."""
        held = self.tensor("held", x.shape[0], x.shape[1])
        return held if held.data_ptr() == x.data_ptr() else held.copy_(x)

    def again(self, key: Hashable, work: Callable[[], None]) -> None:
        """Do some work on these buffers: the first time by calling it, later by making its kernels' calls again.

        All that the work does has to be calls of kernels on addresses that are the same every time.
        """
        if self._recorded is None:
            work()
            return
        calls = self._recorded.get(key)
        if calls is None:
            self._recorded[key] = record(work)
        else:
            for call in calls:
                call()


class LastingBuffers(threading.local):
    """Buffers for steps of a few rows, by their number, kept from step to step; each Python thread has its own."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, int], Buffers] = {}

    def at(self, rows: int) -> Buffers:
        """The buffers for a step of so many rows."""
        key = (rows, num_threads())
        found = self._buffers.get(key)
        if found is None:
            found = self._buffers[key] = Buffers(lasting=True)
        return found
