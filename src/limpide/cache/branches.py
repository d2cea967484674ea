"""The keys and values of a depth-first walk through a trie of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpide.cache.paged import KVShape, PagedCache
from limpide.cache.view import Pages, Pool

Span = tuple[int, int]
"""Positions [start, stop) of a branch, which shares what is before `start` with the branch before it."""


class BranchCache:
    """Pages of one token each, so that branches share exactly what they have in common.

    Holds one path from the root and what branched off it in the current step: `longest` tokens and a step's are room
    enough for any walk. Raises OutOfMemory if the system refuses even that.
    """

    def __init__(self, layers: Sequence[KVShape], num_slots: int, dtype: torch.dtype) -> None:
        self._pool = PagedCache(layers, num_slots, block_size=1, dtype=dtype, max_sequences=1).pool
        self._path = np.empty(num_slots, dtype=np.int32)
        """Slots of the positions on the current path."""
        self._depth = 0
        self._free = list(range(num_slots - 1, -1, -1))

    def step(self, spans: Sequence[Span]) -> BranchView:
        """The view of a step that computes these spans, in the order of the walk.

        A span sees the path of the one before it up to where it starts, also if that is computed in the same step: a
        layer's keys are all written before any query reads. What no longer lies on the path is given up after the step.
        """
        tables, slots, left = [], [], []
        for start, stop in spans:
            if start > self._depth:
                raise AssertionError("a branch begins beyond its path")
            left += self._path[start : self._depth].tolist()
            taken = [self._free.pop() for _ in range(stop - start)]
            self._path[start:stop] = taken
            self._depth = stop
            slots += taken
            tables.append(self._path[:stop].copy())
        self._free += left[::-1]
        return BranchView(spans, tables, slots, self._pool)


class BranchView:
    """What one step of the walk writes and reads: one sequence for each span. A `KVView`."""

    def __init__(
        self, spans: Sequence[Span], tables: Sequence[npt.NDArray[np.int32]], slots: Sequence[int], pool: Pool
    ) -> None:
        self.query_starts: list[int] = [0, *accumulate(stop - start for start, stop in spans)]
        self.kv_lengths: list[int] = [stop for _, stop in spans]
        padded = np.zeros((len(tables), max(self.kv_lengths, default=0)), dtype=np.int32)
        for row, table in zip(padded, tables, strict=True):
            row[: len(table)] = table
        self.pages = Pages(1, torch.tensor(slots, dtype=torch.int64), torch.from_numpy(padded), pool)

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store the step's keys and values of a layer, [T, kv_heads, width] each."""
        for pool, new in zip(self.pages.pool(layer), (k, v), strict=True):
            pool.flatten(0, 1).index_copy_(0, self.pages.slots, new.to(pool.dtype))

    def read(self, layer: int, sequence: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a branch's whole path, float32 [length, kv_heads, width] each."""
        slots = self.pages.block_tables[sequence, : self.kv_lengths[sequence]]
        k, v = (pool.flatten(0, 1).index_select(0, slots).float() for pool in self.pages.pool(layer))
        return k, v

    def read_state(self, layer: int, sequence: int) -> None:
        """Not to be asked: a state belongs to one position, so branches can't share it."""
        raise AssertionError("recurrent layers have no branches")

    def write_state(self, layer: int, sequence: int, state: tuple[Tensor, ...]) -> None:
        """Not to be asked."""
        raise AssertionError("recurrent layers have no branches")
