"""What the kernels that multiply have in common, whatever they find their matrices and activations by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.blocks import Layout
from limpide.kernels.few import multiply_tile
from limpide.kernels.functions import inline
from limpide.kernels.many import PANEL, fill_panel
from limpide.kernels.matrices import copy_row
from limpide.kernels.tiles import TILE


def tile_by_rows(layout: Layout) -> Callable[..., None]:
    """A function: a tile of matrix rows times any number of rows of activations, four, two or one at a time.

    (blocks, bytes of a row, rows there are, x_q, its factors, rows of x, columns, rows to x's second set, out, bytes of
    a row of out, 1 to add, scratch for the results of a tile that has fewer than TILE rows).
    """
    one, two, four = (multiply_tile(layout, rows) for rows in (1, 2, 4))

    @inline
    def products(weight, row_bytes, count, x_q, x_f, x_rows, columns, rest, out, out_stride, add, result):  # type: ignore[no-untyped-def]
        to, to_stride, adds = out, out_stride, add
        if count < TILE:
            to, to_stride, adds = result, np.int64(4 * TILE), np.int64(0)
        j = np.int64(0)
        while j < x_rows:
            q, f = x_q + j * columns, x_f + j * columns // 2
            y = to + j * to_stride
            if x_rows - j >= 4:
                four(weight, row_bytes, count, q, f, columns, rest, y, to_stride, adds)
                j += 4
            elif x_rows - j >= 2:
                two(weight, row_bytes, count, q, f, columns, rest, y, to_stride, adds)
                j += 2
            else:
                one(weight, row_bytes, count, q, f, columns, rest, y, to_stride, adds)
                j += 1
        if count < TILE:
            for k in range(x_rows):
                copy_row(result + k * 4 * TILE, out + k * out_stride, count, add)

    return products


def whole_panel(layout: Layout) -> Callable[..., None]:
    """A function: decode all rows of a panel.

    (blocks, bytes of a row, rows there are, columns, panel, scales, offsets).
    """
    fill = fill_panel(layout)

    @inline
    def decode(weight, row_bytes, count, columns, panel, scales, offsets):  # type: ignore[no-untyped-def]
        for first in range(0, PANEL, TILE):
            # where a panel has fewer rows than it has room for, its last row is decoded again
            start = simd.smaller(first, count - 1)
            fill(weight + start * row_bytes, row_bytes, count - start, columns, panel, scales, offsets, first)

    return decode
