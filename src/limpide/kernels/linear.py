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

from limpide.kernels import simd
from limpide.kernels.blocks import LAYOUTS
from limpide.kernels.many import PANEL, STEP, multiply_panel
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
from limpide.kernels.pieces import tile_by_rows, whole_panel
from limpide.kernels.tiles import TILE


def few_rows(format_name: str) -> Callable[[int], None]:
    """y[m, n] = sum over k of x[m, k] w[n, k], for a handful of m; matrices of one format and width."""
    products = tile_by_rows(LAYOUTS[format_name])

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
                products(weight, row_bytes, count, x_q, x_f, x_rows, columns, padded, out, out_stride, add, result)

    return kernel


def many_rows(format_name: str) -> Callable[[int], None]:
    """As `few_rows`, for many m. x has room for a multiple of MANY_STEP rows."""
    layout = LAYOUTS[format_name]
    decode, product = whole_panel(layout), multiply_panel(layout)

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
            decode(weight, row_bytes, count, columns, panel, s, m)
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
