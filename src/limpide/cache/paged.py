"""The paged key-value cache: block tables plus the tensors that they point into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from limpide.cache.states import LayerState, States
from limpide.cache.tables import BlockTables, Lease
from limpide.cache.view import Pages, StepView
from limpide.core.errors import OutOfMemory

BLOCK_SIZE = 16


KVShape = tuple[int, int, int]
"""What a layer keeps of each token: (kv_heads, width of a key, width of a value). Widths may be 0."""


def block_bytes(layers: Sequence[KVShape], dtype: torch.dtype, block_size: int = BLOCK_SIZE) -> int:
    """Bytes that one block takes over all layers."""
    return sum(heads * (key + value) for heads, key, value in layers) * block_size * dtype.itemsize


class PagedCache(BlockTables):
    """Keys and values of many sequences in blocks of `block_size` positions.

    layers: what each layer keeps of a token; states: what it carries along a sequence. A state is that of one position,
    so with states no prefix is shared. The pools are reserved at once but take memory only where something
    is written: the system maps a page on its first touch. Raises OutOfMemory if the system refuses even that.
    """

    def __init__(
        self,
        layers: Sequence[KVShape],
        num_blocks: int,
        block_size: int = BLOCK_SIZE,
        dtype: torch.dtype = torch.float32,
        *,
        max_sequences: int = 32,
        states: Sequence[LayerState] = (),
    ) -> None:
        super().__init__(num_blocks, block_size, max_sequences, share_prefixes=not any(states))
        self._states = States(states, max_sequences)
        self.dtype = dtype
        try:
            self._pools: list[tuple[Tensor, Tensor]] = [
                (
                    torch.empty(num_blocks, block_size, heads, key, dtype=dtype),
                    torch.empty(num_blocks, block_size, heads, value, dtype=dtype),
                )
                for heads, key, value in layers
            ]
        except RuntimeError as error:
            size = num_blocks * block_bytes(layers, dtype, block_size)
            raise OutOfMemory(
                f"the system does not give {size / 1e6:.0f} MB for the key-value cache",
                hint="ask for a smaller context or a smaller cache",
            ) from error
        self._tables = torch.from_numpy(self.tables)
        self._offsets = np.arange(block_size, dtype=np.int64)

    def open(self) -> Lease:
        """A lease without blocks, whose sequence has not begun."""
        lease = super().open()
        self._states.forget(lease.row)
        return lease

    @property
    def used_bytes(self) -> int:
        """Memory of the blocks that hold something, kept prefixes included."""
        used = self.num_blocks - self.allocator.num_free
        return sum(pool.nbytes for layer in self._pools for pool in layer) * used // max(1, self.num_blocks)

    def pool(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, each [num_blocks, block_size, kv_heads, width]."""
        return self._pools[layer]

    def view(self, items: Sequence[tuple[Lease, int, int]]) -> StepView:
        """The view of a step that computes `count` positions from `start` on for each (lease, start, count).

        The leases must have room for them.
        """
        size = self.block_size
        if len(items) == 1:
            lease, start, count = items[0]
            first = int(lease.table[start // size]) * size + start % size
            tables = self._tables[lease.row : lease.row + 1, : lease.num_blocks]
            if count == 1 or lease.contiguous:
                slots = torch.arange(first, first + count)
                run = first
            else:
                slots, run = torch.from_numpy(self._slots(lease, start, count)), None
            pages = Pages(size, slots, tables, self.pool)
            return StepView([lease], [0, count], [start + count], pages, run=run, states=self._states)
        leases, starts, lengths, slots_of = [], [0], [], []
        for lease, start, count in items:
            leases.append(lease)
            starts.append(starts[-1] + count)
            lengths.append(start + count)
            slots_of.append(self._slots(lease, start, count))
        width = max(lease.num_blocks for lease in leases)
        tables = torch.from_numpy(self.tables[[lease.row for lease in leases], :width])
        pages = Pages(size, torch.from_numpy(np.concatenate(slots_of)), tables, self.pool)
        return StepView(leases, starts, lengths, pages, run=None, states=self._states)

    def _slots(self, lease: Lease, start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        size = self.block_size
        if count == 1:
            return np.array([int(lease.table[start // size]) * size + start % size], dtype=np.int64)
        first, last = start // size, (start + count - 1) // size + 1
        slots = lease.table[first:last].astype(np.int64)[:, None] * size + self._offsets
        return slots.reshape(-1)[start - first * size :][:count]
