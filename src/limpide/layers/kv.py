"""What attention asks of a key-value cache. Implemented by `limpide.cache`; layers know only this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor


class Pages(Protocol):
    """A paged cache's own storage, for kernels that read it in place."""

    @property
    def block_size(self) -> int:
        """Positions per block."""

    @property
    def slots(self) -> Tensor:
        """[T] int64: where each of the step's tokens is stored, block · block_size + offset."""

    @property
    def block_tables(self) -> Tensor:
        """[S, max_blocks] int32: each sequence's blocks in position order; past its length they mean nothing."""

    @property
    def pool(self) -> Callable[[int], tuple[Tensor, Tensor]]:
        """Layer to its keys and values, each [num_blocks, block_size, kv_heads, head_dim]."""


class KVView(Protocol):
    """One step's window on the cache. The step's flat tokens are grouped by sequence, in order."""

    @property
    def query_starts(self) -> Sequence[int]:
        """S + 1 boundaries of the sequences in the flat tokens."""

    @property
    def kv_lengths(self) -> Sequence[int]:
        """Per sequence: number of keys after this step, the new ones included."""

    @property
    def pages(self) -> Pages | None:
        """The storage itself, if it is paged."""

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store the step's keys and values of a layer, [T, kv_heads, width] each."""

    def read(self, layer: int, sequence: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a sequence, [kv_length, kv_heads, width] each, in position order."""

    def read_state(self, layer: int, sequence: int) -> tuple[Tensor, ...] | None:
        """What a recurrent layer kept of a sequence before this step; None if it begins here. Not to be modified."""

    def write_state(self, layer: int, sequence: int, state: tuple[Tensor, ...]) -> None:
        """What it keeps of all positions up to the step's end, in the shapes that its description tells."""
