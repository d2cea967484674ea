"""A cache for one plain forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor


class PlainKV:
    """Holds one pass's keys and values as they are: no pages, no copies, gradients flow through.

    lengths: tokens of each sequence in the pass. Every sequence starts at position 0.
    """

    pages: None = None

    def __init__(self, lengths: Sequence[int]) -> None:
        self.query_starts: list[int] = [0, *accumulate(lengths)]
        self.kv_lengths: list[int] = list(lengths)
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Keep a layer's keys and values, [T, kv_heads, head_dim] each."""
        self._layers[layer] = (k, v)

    def read(self, layer: int, sequence: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a sequence, [length, kv_heads, head_dim] each."""
        start, end = self.query_starts[sequence], self.query_starts[sequence + 1]
        k, v = self._layers[layer]
        return k[start:end], v[start:end]

    def read_state(self, layer: int, sequence: int) -> None:
        """Nothing: every sequence begins here."""

    def write_state(self, layer: int, sequence: int, state: tuple[Tensor, ...]) -> None:
        """Forgotten, as there is no next pass."""
