"""What the multiplying kernels are called with: one set of activations and up to three matrices of one format."""

from __future__ import annotations

import numpy as np

from limpide.kernels import simd
from limpide.kernels.functions import argument, inline

# Behind what all matrices share, five numbers for each of them.
_SHARED = 9
_EACH = 5
WEIGHT, ROWS, ROW_BYTES, OUT, OUT_STRIDE = range(_EACH)


@inline
def matrix(arguments, index, field):  # type: ignore[no-untyped-def]
    """One of a matrix's numbers."""
    return simd.load_i64(arguments + 8 * (_SHARED + _EACH * index + field))


@inline
def shared(arguments):  # type: ignore[no-untyped-def]
    """Columns, x_q, its factors, x_rows, number of matrices, 1 to add, padded rows of x, this thread's scratch."""
    thread = simd.fetch_add(arguments + 8, 1)
    num = argument(arguments, 6)
    behind = arguments + 8 * (_SHARED + _EACH * num)
    return (
        argument(arguments, 2),
        argument(arguments, 3),
        argument(arguments, 4),
        argument(arguments, 5),
        num,
        argument(arguments, 7),
        argument(arguments, 8),
        simd.load_i64(behind) + thread * simd.load_i64(behind + 8),
    )


@inline
def count_tiles(arguments, num, height):  # type: ignore[no-untyped-def]
    """Tiles of so many rows in all matrices."""
    tiles = np.int64(0)
    for i in range(num):
        tiles += (matrix(arguments, i, ROWS) + height - 1) // height
    return tiles


@inline
def find(arguments, tile, height):  # type: ignore[no-untyped-def]
    """The matrix that a tile belongs to, and the tile's first row in it."""
    index = np.int64(0)
    tiles = (matrix(arguments, index, ROWS) + height - 1) // height
    while tile >= tiles:
        tile -= tiles
        index += 1
        tiles = (matrix(arguments, index, ROWS) + height - 1) // height
    return index, tile * height


@inline
def copy_row(source, to, count, add):  # type: ignore[no-untyped-def]
    """Some float32, written or added."""
    for r in range(count):
        y = simd.load_f32(source + 4 * r)
        if add != 0:
            y += simd.load_f32(to + 4 * r)
        simd.store_f32(to + 4 * r, y)
