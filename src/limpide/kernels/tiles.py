"""Sizes that the multiplying kernels and their callers agree on."""

from __future__ import annotations

FEW_TILE = 8
"""Matrix rows that `few_rows` decodes at once."""
MANY_TILE = 16
"""Matrix rows that `many_rows` decodes at once."""
MANY_STEP = 4
"""Rows of activations that `many_rows` multiplies at once; their number is padded to a multiple of it."""


def scratch_bytes(columns: int) -> int:
    """What one thread of either kernel needs: decoded rows, their scales and offsets, a spare tile of results."""
    scales = 2 * (columns // 16) * MANY_TILE * 4
    return (MANY_TILE + 1) * columns + scales + MANY_STEP * MANY_TILE * 4


QUERY_TILE = 64
"""Queries of one sequence that `attend_many` answers at once, for all query heads of a key head."""
KEY_TILE = 64
"""Keys that it widens to float32 at once."""


def attention_scratch_bytes(group: int, head_dim: int) -> int:
    """What one thread of `attend_many` needs: keys, values, scores of four queries, queries, sums, running softmax."""
    return 4 * (2 * KEY_TILE * head_dim + 4 * KEY_TILE + 2 * group * QUERY_TILE * head_dim + 2 * group * QUERY_TILE)
