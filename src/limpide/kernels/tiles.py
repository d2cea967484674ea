"""Sizes that the multiplying kernels and their callers agree on."""

from __future__ import annotations

TILE = 8
"""Matrix rows that are decoded together."""
LARGEST_PANEL = 32
"""Most matrix rows that `many_rows` decodes before it multiplies."""
MANY_STEP = 4
"""Rows of activations that `many_rows` multiplies at once; their number is padded to a multiple of it."""


def scratch_bytes(columns: int) -> int:
    """What one thread of either kernel needs: a decoded panel, its scales and offsets, a spare tile of results."""
    scales = 2 * (columns // 16) * LARGEST_PANEL * 4
    return LARGEST_PANEL * columns + scales + MANY_STEP * LARGEST_PANEL * 4


QUERY_TILE = 64
"""Queries of one sequence that `attend_many` answers at once, for all query heads of a key head."""
KEY_TILE = 64
"""Keys that it widens to float32 at once."""


def attention_scratch_bytes(group: int, head_dim: int) -> int:
    """What one thread of `attend_many` needs: keys, values, scores of four queries, queries, sums, running softmax."""
    return 4 * (2 * KEY_TILE * head_dim + 4 * KEY_TILE + 2 * group * QUERY_TILE * head_dim + 2 * group * QUERY_TILE)
