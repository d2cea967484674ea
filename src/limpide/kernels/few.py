"""Eight matrix rows times up to four rows of activations, straight from the blocks."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from limpide.kernels import simd
from limpide.kernels.blocks import Group, Layout, Tile, Value
from limpide.kernels.emit import Code, void_intrinsic
from limpide.kernels.tiles import TILE

_LINE = 64
"""Bytes of a cache line"""
_AHEAD = 1 << 15
"""How far ahead memory is asked for. Nearer, a tile is computed before the next one has come."""


def ask_ahead(code: Code, layout: Layout, blocks: Value, block: Value) -> None:
    """Ask for the memory of a tile to come, while block number `block` of the one at `blocks` is decoded."""
    ahead = code.builder.add(blocks, code.number(_AHEAD))
    for line in range(-(-TILE * layout.size // _LINE)):  # tiles lie one behind the other
        code.prefetch(code.at(ahead, block, TILE * layout.size, line * _LINE))


def multiply_tile(layout: Layout, x_rows: int) -> Any:
    """An intrinsic: (blocks, bytes of a row, rows there are, x_q, its factors, columns, rows to x's second set, out,
    bytes of a row of out, 1 to add).

    Rows that there are not are taken from the last one; what comes of them is written all the same.
    """

    def emit(code: Code, values: list[Value]) -> None:
        blocks, row_bytes, there, x_q, x_f, columns, padded, out, out_stride, add = values
        builder = code.builder
        rows = code.rows(blocks, row_bytes, there, TILE)
        groups32 = builder.sdiv(columns, code.number(32))
        to_rest = builder.mul(padded, groups32)
        zero = ir.Constant(simd._F32X8, [0.0] * TILE)
        totals = [code.variable(zero) for _ in range(x_rows)]
        per_block = layout.values // 32
        with code.loop(builder.sdiv(columns, code.number(layout.values))) as loop:
            block = loop.index
            ask_ahead(code, layout, blocks, block)
            tile = Tile(builder, [code.at(row, block, layout.size) for row in rows])
            for j, group in enumerate(layout.groups(tile)):
                here = code.at(code.number(j), block, per_block)
                for m, total in enumerate(totals):
                    at = builder.add(builder.mul(code.number(m), groups32), here)
                    _add(code, group, total, x_q, x_f, at)
                    rest = builder.add(at, to_rest)
                    # a scale is never negative, so its bits are zero exactly if it is
                    kept = code.load(code.at(x_f, rest, 16), simd._I32)
                    with builder.if_then(builder.icmp_signed("!=", kept, ir.Constant(simd._I32, 0)), likely=False):
                        _add(code, group, total, x_q, x_f, rest)
        for m, total in enumerate(totals):
            to = builder.add(out, builder.mul(code.number(m), out_stride))
            with builder.if_else(builder.icmp_signed("!=", add, code.number(0))) as (then, otherwise):
                with then:
                    code.store(builder.fadd(builder.load(total), code.load(to, simd._F32X8)), to)
                with otherwise:
                    code.store(builder.load(total), to)

    return void_intrinsic(10, emit)


def _add(code: Code, group: Group, total: Value, x_q: Value, x_f: Value, at: Value) -> None:
    """Add the products of one group with one row's group of activations, which is number `at` of all rows' groups."""
    builder = code.builder
    half = ir.VectorType(simd._I8, 16)
    x_low, x_high = (simd._twice(builder, code.load(code.at(x_q, at, 32, more), half)) for more in (0, 16))
    zero = ir.Constant(simd._I32X8, [0] * 8)
    low = [simd._dot(builder, zero, w, x_low, signed=not group.offsets) for w in group.low]
    scale = code.splat(code.load_float(code.at(x_f, at, 16)), TILE)
    first, second, both = (code.load_float(code.at(x_f, at, 16, more)) for more in (4, 8, 12))
    y = builder.load(total)
    if len(group.scales) == 1:
        dots = [
            simd._dot(builder, d, w, x_high, signed=not group.offsets) for d, w in zip(low, group.high, strict=True)
        ]
        parts = [(simd._tile_sums(builder, dots), both)]
    else:
        high = [simd._dot(builder, zero, w, x_high, signed=not group.offsets) for w in group.high]
        parts = [(simd._tile_sums(builder, low), first), (simd._tile_sums(builder, high), second)]
    for k, (products, x_sum) in enumerate(parts):
        if group.offsets:
            y = code.fma(group.offsets[k], code.splat(x_sum, TILE), y)
        y = code.fma(builder.sitofp(products, simd._F32X8), builder.fmul(group.scales[k], scale), y)
    builder.store(y, total)
