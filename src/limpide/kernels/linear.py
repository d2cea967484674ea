"""Kernels that multiply activations by a matrix of stored blocks.

Activations are rounded to bytes, 32 values to a scale, once per row; the products of bytes are summed exactly in
integers within a group and the groups are added up in float32, always from the first to the last. So a row's result
does not depend on how many other rows are multiplied with it, nor on which of the two kernels does it:

- `few_rows`: a tile of eight matrix rows is decoded in registers, a block at a time, and used for up to four rows of
  activations. Bound by reading the matrix.
- `many_rows`: a panel of 16 or 32 matrix rows is decoded and interleaved by four columns, so that one instruction
  multiplies four columns of all its rows. Bound by the multipliers.

Arguments of both: ticket, thread, columns, x as bytes, its factors, rows of x, number of matrices, 1 to add to
what the results hold, rows to the second set of x's; per matrix: blocks, rows, bytes of a row, out, bytes of a row of
out; scratch, its size per thread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.blocks import LAYOUTS
from limpide.kernels.few import multiply_tile
from limpide.kernels.many import PANEL, STEP, fill_panel, multiply_panel
from limpide.kernels.matrices import (
    OUT,
    OUT_STRIDE,
    ROW_BYTES,
    ROWS,
    WEIGHT,
    copy_row,
    count_tiles,
    find,
    matrix,
    shared,
)
from limpide.kernels.tiles import TILE


def few_rows(format_name: str) -> Callable[[int], None]:
    """y[m, n] = sum over k of x[m, k] w[n, k], for a handful of m; matrices of one format and width."""
    layout = LAYOUTS[format_name]
    one, two, four = (multiply_tile(layout, rows) for rows in (1, 2, 4))

    def kernel(arguments):  # type: ignore[no-untyped-def]
        columns, x_q, x_f, x_rows, num, add, padded, result = shared(arguments)
        tiles = count_tiles(arguments, num, TILE)
        batch = simd.larger(1, simd.smaller(8, tiles // 32))
        while True:
            first_tile = simd.fetch_add(arguments, batch)
            if first_tile >= tiles:
                return
            for t in range(first_tile, simd.smaller(first_tile + batch, tiles)):
                i, first = find(arguments, t, TILE)
                row_bytes = matrix(arguments, i, ROW_BYTES)
                weight = matrix(arguments, i, WEIGHT) + first * row_bytes
                out, out_stride = matrix(arguments, i, OUT) + 4 * first, matrix(arguments, i, OUT_STRIDE)
                count = simd.smaller(TILE, matrix(arguments, i, ROWS) - first)
                to, to_stride, adds = out, out_stride, add
                if count < TILE:
                    to, to_stride, adds = result, np.int64(4 * TILE), np.int64(0)
                j = np.int64(0)
                while j < x_rows:
                    q, f = x_q + j * columns, x_f + j * columns // 2
                    y = to + j * to_stride
                    if x_rows - j >= 4:
                        four(weight, row_bytes, count, q, f, columns, padded, y, to_stride, adds)
                        j += 4
                    elif x_rows - j >= 2:
                        two(weight, row_bytes, count, q, f, columns, padded, y, to_stride, adds)
                        j += 2
                    else:
                        one(weight, row_bytes, count, q, f, columns, padded, y, to_stride, adds)
                        j += 1
                if count < TILE:
                    for k in range(x_rows):
                        copy_row(result + k * 4 * TILE, out + k * out_stride, count, add)

    return kernel


def many_rows(format_name: str) -> Callable[[int], None]:
    """As `few_rows`, for many m. x has room for a multiple of MANY_STEP rows."""
    layout = LAYOUTS[format_name]
    fill, product = fill_panel(layout), multiply_panel(layout)

    def kernel(arguments):  # type: ignore[no-untyped-def]
        columns, x_q, x_f, x_rows, num, add, padded, panel = shared(arguments)
        s = panel + PANEL * columns
        m = s + columns // 16 * 4 * PANEL
        result = m + columns // 16 * 4 * PANEL
        tiles = count_tiles(arguments, num, PANEL)
        while True:
            t = simd.fetch_add(arguments, 1)
            if t >= tiles:
                return
            i, first = find(arguments, t, PANEL)
            row_bytes = matrix(arguments, i, ROW_BYTES)
            weight = matrix(arguments, i, WEIGHT) + first * row_bytes
            out, out_stride = matrix(arguments, i, OUT) + 4 * first, matrix(arguments, i, OUT_STRIDE)
            count = simd.smaller(PANEL, matrix(arguments, i, ROWS) - first)
            for half in range(0, PANEL, TILE):
                # where a panel has fewer rows than it has room for, its last row is decoded again
                start = simd.smaller(half, count - 1)
                fill(weight + start * row_bytes, row_bytes, count - start, columns, panel, s, m, half)
            for j in range(0, x_rows, STEP):
                q, f = x_q + j * columns, x_f + j * columns // 2
                to = out + j * out_stride
                here = simd.smaller(STEP, x_rows - j)
                if count == PANEL and here == STEP:
                    product(panel, s, m, q, f, to, out_stride, columns, padded, add)
                else:
                    product(panel, s, m, q, f, result, 4 * PANEL, columns, padded, 0)
                    for k in range(here):
                        copy_row(result + k * 4 * PANEL, to + k * out_stride, count, add)

    return kernel
