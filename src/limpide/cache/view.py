"""One step's window on the paged cache, as attention sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.cache.states import States
from limpide.cache.tables import Lease

Pool = Callable[[int], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Pages:
    """The cache's own storage, for kernels that read it in place."""

    block_size: int
    slots: Tensor
    """[T] int64: where each of the step's tokens is stored, block · block_size + offset."""
    block_tables: Tensor
    """[S, max_blocks] int32: each sequence's blocks in position order; what lies past its length means nothing."""
    pool: Pool
    """Layer to its keys and values, each [num_blocks, block_size, kv_heads, head_dim]."""


class StepView:
    """What one step writes and reads. The step's flat tokens are grouped by sequence, in order."""

    __slots__ = ("_leases", "_run", "_states", "kv_lengths", "pages", "query_starts")

    def __init__(
        self,
        leases: list[Lease],
        query_starts: list[int],
        kv_lengths: list[int],
        pages: Pages,
        *,
        run: int | None,
        states: States,
    ) -> None:
        self._leases = leases
        self._states = states
        self._run = run
        """First slot, if the step's slots are one unbroken run."""
        self.query_starts = query_starts
        self.kv_lengths = kv_lengths
        self.pages = pages

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store the step's keys and values of a layer, [T, kv_heads, head_dim] each."""
        for pool, new in zip(self.pages.pool(layer), (k, v), strict=True):
            flat = pool.flatten(0, 1)
            if self._run is None:
                flat.index_copy_(0, self.pages.slots, new.to(flat.dtype))
            else:
                flat.narrow(0, self._run, new.shape[0]).copy_(new)

    def read(self, layer: int, sequence: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a sequence in position order, float32 [kv_length, kv_heads, head_dim] each.

        No copy is made where the sequence's blocks lie side by side and the pool is float32 already.
        """
        lease, length = self._leases[sequence], self.kv_lengths[sequence]
        size = self.pages.block_size
        count = -(-length // size)
        blocks = self.pages.block_tables[sequence, :count]

        def gather(pool: Tensor) -> Tensor:
            if lease.contiguous:
                flat = pool.flatten(0, 1).narrow(0, int(lease.table[0]) * size, length)
            else:
                flat = pool.index_select(0, blocks).flatten(0, 1)[:length]
            return flat.to(torch.float32)

        k, v = self.pages.pool(layer)
        return gather(k), gather(v)

    def read_state(self, layer: int, sequence: int) -> tuple[Tensor, ...] | None:
        """What a recurrent layer kept of a sequence before this step, or None if it begins with it."""
        return self._states.read(layer, self._leases[sequence].row, self._start(sequence))

    def write_state(self, layer: int, sequence: int, state: tuple[Tensor, ...]) -> None:
        """What it keeps after the step."""
        end = self.kv_lengths[sequence]
        self._states.write(layer, self._leases[sequence].row, self._start(sequence), end, state)

    def _start(self, sequence: int) -> int:
        return self.kv_lengths[sequence] - (self.query_starts[sequence + 1] - self.query_starts[sequence])
