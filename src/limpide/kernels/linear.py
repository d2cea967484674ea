"""Kernels that multiply activations by a matrix of stored blocks.

Activations are rounded to bytes, 32 values to a scale, once per row; the products of bytes are summed exactly in
integers within a group and the groups are added up in float32, always from the first to the last. So a row's result
does not depend on how many other rows are multiplied with it, nor on which of the two kernels does it:

- `few_rows`: eight matrix rows at a time, each decoded into the first-level cache and used for all rows of activations.
  Bound by reading the matrix.
- `many_rows`: sixteen matrix rows are decoded and interleaved by four columns, so that one instruction multiplies four
  columns of eight rows. Bound by the multipliers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from limpide.kernels import simd
from limpide.kernels.functions import argument, inline
from limpide.kernels.rows import ROW_FORMATS
from limpide.kernels.tiles import FEW_TILE, MANY_STEP, MANY_TILE

# Behind what all matrices share, five numbers for each of them.
_SHARED = 10
_EACH = 5
WEIGHT, ROWS, ROW_BYTES, OUT, OUT_STRIDE = range(_EACH)


@inline
def _matrix(arguments, index, field):  # type: ignore[no-untyped-def]
    return simd.load_i64(arguments + 8 * (_SHARED + _EACH * index + field))


@inline
def _arguments(arguments):  # type: ignore[no-untyped-def]
    """Columns, x_q, x_s, x_m, x_rows, number of matrices, whether to add, padded rows of x, this thread's scratch."""
    thread = simd.fetch_add(arguments + 8, 1)
    num = argument(arguments, 7)
    behind = arguments + 8 * (_SHARED + _EACH * num)
    return (
        argument(arguments, 2),
        argument(arguments, 3),
        argument(arguments, 4),
        argument(arguments, 5),
        argument(arguments, 6),
        num,
        argument(arguments, 8) != 0,
        argument(arguments, 9),
        simd.load_i64(behind) + thread * simd.load_i64(behind + 8),
    )


@inline
def _find(arguments, tile, height):  # type: ignore[no-untyped-def]
    """The matrix that a tile belongs to, and the tile's first row in it."""
    index = np.int64(0)
    tiles = (_matrix(arguments, index, ROWS) + height - 1) // height
    while tile >= tiles:
        tile -= tiles
        index += 1
        tiles = (_matrix(arguments, index, ROWS) + height - 1) // height
    return index, tile * height


@inline
def _copy_row(source, to, count, add):  # type: ignore[no-untyped-def]
    for r in range(count):
        y = simd.load_f32(source + 4 * r)
        if add:
            y += simd.load_f32(to + 4 * r)
        simd.store_f32(to + 4 * r, y)


def few_rows(format_name: str) -> Callable[[int], None]:
    """y[m, n] = sum over k of x[m, k] w[n, k], for a handful of m; matrices of one format and width.

    Arguments: ticket, thread, columns, x as bytes, its scales, its sums, rows of x, number of matrices, 1 to add to
    what the results hold, rows to the second set of x's; per matrix: blocks, rows, bytes of a row, out, bytes of a
    row of out; scratch, its size per thread.
    """
    layout = ROW_FORMATS[format_name]
    decode, signed, halves = layout.decode, layout.largest == 0, layout.group == 16
    scale_bytes = FEW_TILE * 4

    @inline
    def dot(w, x):  # type: ignore[no-untyped-def]
        zero = simd.splat_i32(np.int32(0))
        if signed:
            return simd.dot_u8s8(zero, simd.abs_i8(w), simd.copy_sign(x, w))
        return simd.dot_u8s8(zero, w, x)

    @inline
    def group(total, q, s, m, x_q, x_s, x_m, columns, g):  # type: ignore[no-untyped-def]
        """Add the products of one group of 32 columns."""
        x = simd.load_i8x32(x_q + 32 * g)
        w = q + 32 * g
        d0 = dot(simd.load_i8x32(w), x)
        d1 = dot(simd.load_i8x32(w + columns), x)
        d2 = dot(simd.load_i8x32(w + 2 * columns), x)
        d3 = dot(simd.load_i8x32(w + 3 * columns), x)
        d4 = dot(simd.load_i8x32(w + 4 * columns), x)
        d5 = dot(simd.load_i8x32(w + 5 * columns), x)
        d6 = dot(simd.load_i8x32(w + 6 * columns), x)
        d7 = dot(simd.load_i8x32(w + 7 * columns), x)
        low = simd.low_sums_of_eight(d0, d1, d2, d3, d4, d5, d6, d7)
        high = simd.high_sums_of_eight(d0, d1, d2, d3, d4, d5, d6, d7)
        scale = simd.splat(simd.load_f32(x_s + 4 * g))
        first, second = simd.load_f32(x_m + 8 * g), simd.load_f32(x_m + 8 * g + 4)
        if halves:
            at = 2 * g * scale_bytes
            total = simd.fma(simd.load_f32x8(m + at), simd.splat(first), total)
            total = simd.fma(simd.to_f32(low), simd.mul(simd.load_f32x8(s + at), scale), total)
            at += scale_bytes
            total = simd.fma(simd.load_f32x8(m + at), simd.splat(second), total)
            return simd.fma(simd.to_f32(high), simd.mul(simd.load_f32x8(s + at), scale), total)
        at = g * scale_bytes
        if not signed:
            total = simd.fma(simd.load_f32x8(m + at), simd.splat(first + second), total)
        both = simd.to_f32(simd.add_i32(low, high))
        return simd.fma(both, simd.mul(simd.load_f32x8(s + at), scale), total)

    @inline
    def tile(q, s, m, x_q, x_s, x_m, columns, padded):  # type: ignore[no-untyped-def]
        """Eight results: eight decoded rows times one row of activations."""
        rest_q, rest_s, rest_m = x_q + padded * columns, x_s + padded * columns // 8, x_m + padded * columns // 4
        total = simd.splat(np.float32(0))
        for g in range(columns // 32):
            total = group(total, q, s, m, x_q, x_s, x_m, columns, g)
            if simd.load_f32(rest_s + 4 * g) != np.float32(0):
                total = group(total, q, s, m, rest_q, rest_s, rest_m, columns, g)
        return total

    def kernel(arguments):  # type: ignore[no-untyped-def]
        columns, x_q, x_s, x_m, x_rows, num, add, padded, scratch = _arguments(arguments)
        q = scratch
        s = q + FEW_TILE * columns
        m = s + columns // 16 * scale_bytes
        result = m + columns // 16 * scale_bytes
        tiles = np.int64(0)
        for i in range(num):
            tiles += (_matrix(arguments, i, ROWS) + FEW_TILE - 1) // FEW_TILE
        batch = simd.larger(1, simd.smaller(8, tiles // 32))
        while True:
            first_tile = simd.fetch_add(arguments, batch)
            if first_tile >= tiles:
                return
            for t in range(first_tile, simd.smaller(first_tile + batch, tiles)):
                i, first = _find(arguments, t, FEW_TILE)
                weight, row_bytes = _matrix(arguments, i, WEIGHT), _matrix(arguments, i, ROW_BYTES)
                out, out_stride = _matrix(arguments, i, OUT), _matrix(arguments, i, OUT_STRIDE)
                count = simd.smaller(FEW_TILE, _matrix(arguments, i, ROWS) - first)
                for r in range(count):
                    decode(
                        weight + (first + r) * row_bytes, q + r * columns, s + 4 * r, m + 4 * r, columns, scale_bytes
                    )
                for j in range(x_rows):
                    y = tile(
                        q, s, m, x_q + j * columns, x_s + j * columns // 8, x_m + j * columns // 4, columns, padded
                    )
                    to = out + j * out_stride + 4 * first
                    if count == FEW_TILE:
                        if add:
                            y = simd.add(y, simd.load_f32x8(to))
                        simd.store_f32x8(to, y)
                    else:
                        simd.store_f32x8(result, y)
                        _copy_row(result, to, count, add)

    return kernel


def _tile_product(group: int, largest: int) -> Any:
    """An intrinsic: four rows of activations times sixteen interleaved matrix rows.

    (panel, scales, offsets, x_q, x_s, x_m, out, out_stride, columns, padded rows of x). The accumulators are a table
    of values while the code is emitted, which is why this is written with a builder and not as numba source.
    """
    vectors = MANY_TILE // 8
    steps = group // 4
    # how many products of a byte pair fit into int16 before they have to be widened
    within_int16 = 0 if simd.HAS_VNNI or not largest else max(1, 32767 // (2 * 127 * largest))
    chunk = min(steps, within_int16 or steps)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        panel, scales, offsets, x_q, x_s, x_m, out, out_stride, columns, padded = values
        i64, f32 = ir.IntType(64), ir.FloatType()
        table = [(m, n) for m in range(MANY_STEP) for n in range(vectors)]

        def number(value: int) -> ir.Constant:
            return ir.Constant(i64, value)

        def at(base: ir.Value, value: ir.Value, factor: int, more: int = 0) -> ir.Value:
            """base + value * factor + more, an address."""
            address = builder.add(base, builder.mul(value, number(factor)))
            return builder.add(address, number(more)) if more else address

        def load(address: ir.Value, kind: ir.Type) -> ir.Value:
            return simd._load(builder, address, kind)

        def splat(value: ir.Value) -> ir.Value:
            return simd._splat(builder, value, 8)

        def slots(kind: ir.Type) -> dict[tuple[int, int], ir.Value]:
            return {place: cgutils.alloca_once(builder, kind) for place in table}

        def sums(x_rows: list[ir.Value], g: ir.Value) -> dict[tuple[int, int], ir.Value]:
            """Integer sums of the products of one group."""
            kind = simd._I16X16 if within_int16 else simd._I32X8
            zero = ir.Constant(kind, [0] * kind.count)
            results = dict.fromkeys(table, ir.Constant(simd._I32X8, [0] * 8))
            for begin in range(0, steps, chunk):
                parts = slots(kind)
                for place in table:
                    builder.store(zero if within_int16 else results[place], parts[place])
                with cgutils.for_range(builder, number(chunk)) as loop:
                    block = builder.add(builder.mul(g, number(steps)), builder.add(loop.index, number(begin)))
                    w = [load(at(panel, block, 4 * MANY_TILE, 32 * n), simd._I8X32) for n in range(vectors)]
                    unsigned = w if largest else [simd._abs_i8(builder, v) for v in w]
                    for m in range(MANY_STEP):
                        x = builder.bitcast(splat(load(at(x_rows[m], block, 4), ir.IntType(32))), simd._I8X32)
                        for n in range(vectors):
                            signed = x if largest else simd._copy_sign(builder, x, w[n])
                            old = builder.load(parts[m, n])
                            if within_int16:
                                new = builder.add(old, simd._pairs_u8s8(builder, unsigned[n], signed))
                            else:
                                new = simd._dot_u8s8(builder, old, unsigned[n], signed)
                            builder.store(simd._pin(builder, new), parts[m, n])
                for place in table:
                    part = builder.load(parts[place])
                    results[place] = (
                        builder.add(results[place], simd._pairs_i16(builder, part)) if within_int16 else part
                    )
            return results

        groups32 = builder.sdiv(columns, number(32))
        totals = slots(simd._F32X8)
        for place in table:
            builder.store(ir.Constant(simd._F32X8, [0.0] * 8), totals[place])

        def add_group(x_q: ir.Value, x_s: ir.Value, x_m: ir.Value, g: ir.Value, group32: ir.Value) -> None:
            """Add the products of one group of columns to the totals."""
            products = sums([at(x_q, columns, m) for m in range(MANY_STEP)], g)
            s = [load(at(scales, g, 4 * MANY_TILE, 32 * n), simd._F32X8) for n in range(vectors)]
            o = [load(at(offsets, g, 4 * MANY_TILE, 32 * n), simd._F32X8) for n in range(vectors)] if largest else []
            for m in range(MANY_STEP):
                x_scale = splat(load(at(at(x_s, groups32, 4 * m), group32, 4), f32))
                row_sums = at(x_m, groups32, 8 * m)
                if group == 32:
                    x_sum = builder.fadd(load(at(row_sums, g, 8), f32), load(at(row_sums, g, 8, 4), f32))
                else:
                    x_sum = load(at(row_sums, g, 4), f32)
                for n in range(vectors):
                    total = builder.load(totals[m, n])
                    if largest:
                        total = simd._fma(builder, o[n], splat(x_sum), total)
                    product = builder.sitofp(products[m, n], simd._F32X8)
                    builder.store(simd._fma(builder, product, builder.fmul(s[n], x_scale), total), totals[m, n])

        rest_q = builder.add(x_q, builder.mul(padded, columns))
        rest_s = at(x_s, builder.mul(padded, groups32), 4)
        rest_m = at(x_m, builder.mul(padded, groups32), 8)
        parts32 = 32 // group
        with cgutils.for_range(builder, groups32) as loop:
            group32 = loop.index
            here = [builder.add(builder.mul(group32, number(parts32)), number(i)) for i in range(parts32)]
            for g in here:
                add_group(x_q, x_s, x_m, g, group32)
            # a scale is never negative, so its bits are zero exactly if it is
            kept = [load(at(at(rest_s, groups32, 4 * m), group32, 4), ir.IntType(32)) for m in range(MANY_STEP)]
            any_kept = builder.or_(builder.or_(kept[0], kept[1]), builder.or_(kept[2], kept[3]))
            with builder.if_then(builder.icmp_signed("!=", any_kept, ir.Constant(any_kept.type, 0)), likely=False):
                for g in here:
                    add_group(rest_q, rest_s, rest_m, g, group32)
        for m, n in table:
            to = builder.add(at(out, out_stride, m), number(32 * n))
            builder.store(builder.load(totals[m, n]), builder.inttoptr(to, simd._F32X8.as_pointer()), align=1)
        return context.get_dummy_value()

    @intrinsic
    def tile_product(typingctx, a, b, c, d, e, f, g, h, i, j):  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 10), emit

    return tile_product


def many_rows(format_name: str) -> Callable[[int], None]:
    """As `few_rows`, for many m. x has room for a multiple of MANY_STEP rows."""
    layout = ROW_FORMATS[format_name]
    decode = layout.decode
    group = layout.group
    product = _tile_product(group, layout.largest)
    scale_bytes = MANY_TILE * 4

    def kernel(arguments):  # type: ignore[no-untyped-def]
        columns, x_q, x_s, x_m, x_rows, num, add, padded, panel = _arguments(arguments)
        row_q = panel + MANY_TILE * columns
        s = row_q + columns
        m = s + columns // 16 * scale_bytes
        result = m + columns // 16 * scale_bytes
        tiles = np.int64(0)
        for i in range(num):
            tiles += (_matrix(arguments, i, ROWS) + MANY_TILE - 1) // MANY_TILE
        while True:
            t = simd.fetch_add(arguments, 1)
            if t >= tiles:
                return
            i, first = _find(arguments, t, MANY_TILE)
            weight, row_bytes = _matrix(arguments, i, WEIGHT), _matrix(arguments, i, ROW_BYTES)
            out, out_stride = _matrix(arguments, i, OUT), _matrix(arguments, i, OUT_STRIDE)
            count = simd.smaller(MANY_TILE, _matrix(arguments, i, ROWS) - first)
            for r in range(MANY_TILE):
                source = weight + (first + simd.smaller(r, count - 1)) * row_bytes
                decode(source, row_q, s + 4 * r, m + 4 * r, columns, scale_bytes)
                for c in range(columns // 4):
                    simd.store_i32(panel + c * 4 * MANY_TILE + 4 * r, simd.load_i32(row_q + 4 * c))
            for j in range(0, x_rows, MANY_STEP):
                x_scales, x_sums = x_s + j * columns // 8, x_m + j * columns // 4
                to = out + j * out_stride + 4 * first
                here = simd.smaller(MANY_STEP, x_rows - j)
                if count == MANY_TILE and here == MANY_STEP and not add:
                    product(panel, s, m, x_q + j * columns, x_scales, x_sums, to, out_stride, columns, padded)
                else:
                    product(panel, s, m, x_q + j * columns, x_scales, x_sums, result, 4 * MANY_TILE, columns, padded)
                    for k in range(here):
                        _copy_row(result + k * 4 * MANY_TILE, to + k * out_stride, count, add)

    return kernel
