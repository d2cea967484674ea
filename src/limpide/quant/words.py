"""Small numbers packed into 32-bit words, the lowest bits first: what AWQ and GPTQ have in common."""

from __future__ import annotations

import torch
from torch import Tensor


def fields(words: Tensor, width: int) -> Tensor:
    """Each word's numbers of 4 or 8 bits: its bytes uint8 [..., 4] -> uint8 [..., 32 // width].

    Bytes and not words, since a mapped file promises no alignment.
    """
    if width == 8:
        return words
    return torch.stack((words & 15, words >> 4), dim=-1).flatten(-2)


def covering(rows: range, size: int) -> tuple[range, Tensor]:
    """The runs of `size` that hold these rows, and where in them the rows are, int64 [len(rows)]."""
    if not rows:
        return range(0), torch.empty(0, dtype=torch.int64)
    first, last = rows[0] // size, rows[-1] // size
    return range(first, last + 1), torch.tensor(rows, dtype=torch.int64) - first * size
