"""A panel of matrix rows times many rows of activations."""

from __future__ import annotations

from functools import reduce
from typing import Any

from llvmlite import ir

from limpide.kernels import simd
from limpide.kernels.blocks import Layout, Tile, Value
from limpide.kernels.emit import Code, void_intrinsic
from limpide.kernels.few import ask_ahead
from limpide.kernels.tiles import MANY_STEP, TILE

LANES = 16 if simd.HAS_VNNI512 else 8
"""Of the vectors that the products are summed in"""
VECTORS = 2
PANEL = VECTORS * LANES
"""Matrix rows that are decoded before they are multiplied: at most LARGEST_PANEL"""
STEP = MANY_STEP
"""Rows of activations that are multiplied at once: as many as there are registers for their sums"""
_QUADS = 8
"""Four columns each, in a group of 32"""

_FLOATS, _INTS = ir.VectorType(simd._F32, LANES), ir.VectorType(simd._I32, LANES)
_BYTES, _SHORTS = ir.VectorType(simd._I8, 4 * LANES), ir.VectorType(simd._I16, 2 * LANES)


def fill_panel(layout: Layout) -> Any:
    """An intrinsic: decode eight rows into their half of a panel. (blocks, bytes of a row, rows there are, columns,
    panel, scales, offsets, first row in the panel).

    A panel has, for every four columns, 4 bytes of each of its rows; scales and offsets are [groups, rows] float32.
    """

    def emit(code: Code, values: list[Value]) -> None:
        blocks, row_bytes, there, columns, panel, scales, offsets, first = values
        builder = code.builder
        rows = code.rows(blocks, row_bytes, there, TILE)
        panel, scales, offsets = (code.at(base, first, 4) for base in (panel, scales, offsets))
        with code.loop(builder.sdiv(columns, code.number(layout.values))) as loop:
            ask_ahead(code, layout, blocks, loop.index)
            tile = Tile(builder, [code.at(row, loop.index, layout.size) for row in rows])
            for j, group in enumerate(layout.groups(tile)):
                here = code.at(code.number(j), loop.index, layout.values // 32)
                quads = [*simd._transposed(builder, group.low), *simd._transposed(builder, group.high)]
                for c, quad in enumerate(quads):
                    code.store(quad, code.at(panel, here, 4 * PANEL * _QUADS, 4 * PANEL * c))
                parts = len(group.scales)
                for to, factors in ((scales, group.scales), (offsets, group.offsets)):
                    for k, factor in enumerate(factors):
                        code.store(factor, code.at(to, here, 4 * PANEL * parts, 4 * PANEL * k))

    return void_intrinsic(8, emit)


def _unless_zero(code: Code, value: Value) -> Any:
    """A context for what is done unless an int32 is zero, as it mostly is."""
    return code.builder.if_then(code.builder.icmp_signed("!=", value, ir.Constant(value.type, 0)), likely=False)


def multiply_panel(layout: Layout) -> Any:
    """An intrinsic: STEP rows of activations times a panel. (panel, scales, offsets, x_q, its factors, out, bytes of a
    row of out, columns, rows to x's second set, 1 to add).
    """
    table = [(m, n) for m in range(STEP) for n in range(VECTORS)]
    halves, parts = layout.halves, 2 if layout.halves else 1
    quads = _QUADS // parts
    signed = layout.largest == 0
    # how many products of a byte pair fit into int16 before they have to be widened
    within_int16 = 0 if simd.HAS_VNNI or signed else min(quads, 32767 // (2 * 127 * layout.largest))

    def sums(code: Code, panel: Value, x: dict[int, Value], first: int) -> dict[tuple[int, int], Value]:
        """Integer sums of one group's products for some rows, from the panel's quad `first` on."""
        builder = code.builder
        results = {(m, n): ir.Constant(_INTS, [0] * LANES) for m in x for n in range(VECTORS)}
        shorts: dict[tuple[int, int], Value] = {}
        for step in range(quads):
            c = first + step
            w = [code.load(code.at(panel, code.number(4 * PANEL * c + 4 * LANES * n)), _BYTES) for n in range(VECTORS)]
            for m, row in x.items():
                four = code.load(code.at(row, code.number(4 * c)), simd._I32)
                spread = builder.bitcast(code.splat(four, LANES), _BYTES)
                for n in range(VECTORS):
                    if within_int16:
                        pairs = simd._pairs_u8s8(builder, w[n], spread)
                        old = shorts.get((m, n))
                        shorts[m, n] = pairs if old is None else simd._pin(builder, builder.add(old, pairs))
                    else:
                        dot = simd._dot(builder, results[m, n], w[n], spread, signed=signed)
                        results[m, n] = simd._pin(builder, dot)
            if within_int16 and ((step + 1) % within_int16 == 0 or step + 1 == quads):
                for place, pairs in shorts.items():
                    results[place] = builder.add(results[place], simd._pairs_i16(builder, pairs))
                shorts = {}
        return results

    def emit(code: Code, values: list[Value]) -> None:
        panel, scales, offsets, x_q, x_f, out, out_stride, columns, padded, add = values
        builder = code.builder
        groups32 = builder.sdiv(columns, code.number(32))
        totals = {place: code.variable(ir.Constant(_FLOATS, [0.0] * LANES)) for place in table}
        to_rest = builder.mul(padded, groups32)
        rows = [builder.mul(code.number(m), groups32) for m in range(STEP)]

        def add_group(group: Value, at: dict[int, Value]) -> None:
            """Add the products of one group for some rows; `at` numbers each row's group among all rows' groups."""
            x = {m: code.at(x_q, each, 32) for m, each in at.items()}
            here = code.at(panel, group, 4 * PANEL * _QUADS)
            for part in range(parts):
                products = sums(code, here, x, part * quads)
                place = code.at(code.number(part), group, parts)
                factors = [
                    [code.load(code.at(base, place, 4 * PANEL, 4 * LANES * n), _FLOATS) for n in range(VECTORS)]
                    for base in ((scales,) if signed else (scales, offsets))
                ]
                for m, each in at.items():
                    scale = code.splat(code.load_float(code.at(x_f, each, 16)), LANES)
                    x_sum = code.splat(code.load_float(code.at(x_f, each, 16, 4 + 4 * part if halves else 12)), LANES)
                    for n in range(VECTORS):
                        y = builder.load(totals[m, n])
                        if not signed:
                            y = code.fma(factors[1][n], x_sum, y)
                        product = builder.sitofp(products[m, n], _FLOATS)
                        builder.store(code.fma(product, builder.fmul(factors[0][n], scale), y), totals[m, n])

        with code.loop(groups32) as loop:
            at = {m: builder.add(row, loop.index) for m, row in enumerate(rows)}
            add_group(loop.index, at)
            rests = {m: builder.add(each, to_rest) for m, each in at.items()}
            # a scale is never negative, so its bits are zero exactly if it is
            kept = {m: code.load(code.at(x_f, rest, 16), simd._I32) for m, rest in rests.items()}
            with _unless_zero(code, reduce(builder.or_, kept.values())):
                for m, rest in rests.items():
                    with _unless_zero(code, kept[m]):
                        add_group(loop.index, {m: rest})
        with builder.if_else(builder.icmp_signed("!=", add, code.number(0))) as (then, otherwise):
            for adding, branch in ((True, then), (False, otherwise)):
                with branch:
                    for m, n in table:
                        to = code.at(out, builder.mul(code.number(m), out_stride), 1, 4 * LANES * n)
                        y = builder.load(totals[m, n])
                        code.store(builder.fadd(y, code.load(to, _FLOATS)) if adding else y, to)

    return void_intrinsic(10, emit)
