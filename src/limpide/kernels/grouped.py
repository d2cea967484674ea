"""Kernels that multiply many pairs of activations and matrices in one call: those of the experts that tokens chose.

A job is some rows of rounded activations and the matrix that they are multiplied with. The products are those of
`linear`, to the bit, and so is the choice between the two: a tile of a matrix's rows is read once for all rows of its
job.

Arguments of both: ticket, thread, columns, number of jobs, address of the jobs; scratch, its size per thread. A job is
int64 numbers, see `limpide.kernels.fields`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.blocks import LAYOUTS
from limpide.kernels.fields import (
    JOB_ADD,
    JOB_FACTORS,
    JOB_OUT,
    JOB_OUT_STRIDE,
    JOB_Q,
    JOB_REST,
    JOB_ROW_BYTES,
    JOB_ROWS,
    JOB_WEIGHT,
    JOB_X_ROWS,
    NUM_JOB_FIELDS,
)
from limpide.kernels.functions import argument, inline
from limpide.kernels.many import PANEL, STEP, multiply_panel
from limpide.kernels.matrices import copy_row
from limpide.kernels.pieces import tile_by_rows, whole_panel
from limpide.kernels.tiles import TILE


@inline
def _count(jobs, num, height):  # type: ignore[no-untyped-def]
    """Tiles of so many matrix rows in all jobs."""
    tiles = np.int64(0)
    for i in range(num):
        tiles += (argument(jobs + 8 * NUM_JOB_FIELDS * i, JOB_ROWS) + height - 1) // height
    return tiles


@inline
def _find(jobs, tile, height):  # type: ignore[no-untyped-def]
    """The job that a tile of matrix rows belongs to, and the tile's first row in its matrix."""
    job = jobs
    tiles = (argument(job, JOB_ROWS) + height - 1) // height
    while tile >= tiles:
        tile -= tiles
        job += 8 * NUM_JOB_FIELDS
        tiles = (argument(job, JOB_ROWS) + height - 1) // height
    return job, tile * height


@inline
def _tile(job, first, height):  # type: ignore[no-untyped-def]
    """Where a tile's blocks are, where its results go, how many rows it has."""
    weight = argument(job, JOB_WEIGHT) + first * argument(job, JOB_ROW_BYTES)
    return weight, argument(job, JOB_OUT) + 4 * first, simd.smaller(height, argument(job, JOB_ROWS) - first)


def few_rows(format_name: str) -> Callable[[int], None]:
    """Jobs of a handful of rows each."""
    products = tile_by_rows(LAYOUTS[format_name])

    def kernel(arguments):  # type: ignore[no-untyped-def]
        thread = simd.fetch_add(arguments + 8, 1)
        columns, jobs = argument(arguments, 2), argument(arguments, 4)
        tiles = _count(jobs, argument(arguments, 3), TILE)
        result = argument(arguments, 5) + thread * argument(arguments, 6)
        batch = simd.larger(1, simd.smaller(8, tiles // 32))
        while True:
            first_tile = simd.fetch_add(arguments, batch)
            if first_tile >= tiles:
                return
            for t in range(first_tile, simd.smaller(first_tile + batch, tiles)):
                job, first = _find(jobs, t, TILE)
                weight, out, count = _tile(job, first, TILE)
                row_bytes, rest = argument(job, JOB_ROW_BYTES), argument(job, JOB_REST)
                out_stride, add = argument(job, JOB_OUT_STRIDE), argument(job, JOB_ADD)
                x_q, x_f, x_rows = argument(job, JOB_Q), argument(job, JOB_FACTORS), argument(job, JOB_X_ROWS)
                products(weight, row_bytes, count, x_q, x_f, x_rows, columns, rest, out, out_stride, add, result)

    return kernel


def many_rows(format_name: str) -> Callable[[int], None]:
    """Jobs of many rows each: at least STEP."""
    layout = LAYOUTS[format_name]
    decode, product = whole_panel(layout), multiply_panel(layout)

    def kernel(arguments):  # type: ignore[no-untyped-def]
        thread = simd.fetch_add(arguments + 8, 1)
        columns, jobs = argument(arguments, 2), argument(arguments, 4)
        tiles = _count(jobs, argument(arguments, 3), PANEL)
        panel = argument(arguments, 5) + thread * argument(arguments, 6)
        s = panel + PANEL * columns
        m = s + columns // 16 * 4 * PANEL
        result = m + columns // 16 * 4 * PANEL
        while True:
            t = simd.fetch_add(arguments, 1)
            if t >= tiles:
                return
            job, first = _find(jobs, t, PANEL)
            weight, out, count = _tile(job, first, PANEL)
            row_bytes, rest = argument(job, JOB_ROW_BYTES), argument(job, JOB_REST)
            out_stride, add = argument(job, JOB_OUT_STRIDE), argument(job, JOB_ADD)
            x_q, x_f, x_rows = argument(job, JOB_Q), argument(job, JOB_FACTORS), argument(job, JOB_X_ROWS)
            decode(weight, row_bytes, count, columns, panel, s, m)
            for next_row in range(0, x_rows, STEP):
                # the last step goes back to rows that are done: behind the job's rows lie another's
                j = simd.smaller(next_row, x_rows - STEP)
                q, f = x_q + j * columns, x_f + j * columns // 2
                to = out + j * out_stride
                if count == PANEL and j == next_row:
                    product(panel, s, m, q, f, to, out_stride, columns, rest, add)
                else:
                    product(panel, s, m, q, f, result, 4 * PANEL, columns, rest, 0)
                    for k in range(next_row - j, STEP):
                        copy_row(result + k * 4 * PANEL, to + k * out_stride, count, add)

    return kernel
