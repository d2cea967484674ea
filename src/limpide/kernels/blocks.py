"""Stored blocks in registers: the one part of a multiplication that knows the format.

A kernel works on tiles of eight matrix rows. Here a block of each of the eight rows becomes vectors: whole numbers, one
byte each, and for every group of values a scale and an offset per row, so that a value is number * scale + offset. The
bytes of rows r and r + 4 share a vector (16 of each), which is what the sums and the transposition of a tile want.
Layouts: ggml's ggml-common.h; see the files of limpide.quant, which unpack the same formats with torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from limpide.kernels import simd
from limpide.kernels.levels import TWICE_E2M1
from limpide.kernels.tiles import TILE

Value = Any
"""An llvmlite value; its classes are not annotated."""


@dataclass(frozen=True)
class Group:
    """32 columns of eight rows."""

    low: list[Value]
    """Four times 32 bytes: the first 16 columns of row i and of row i + 4"""
    high: list[Value]
    """The same of the last 16 columns"""
    scales: list[Value]
    """One vector of eight float32 for all columns, or one for each half"""
    offsets: list[Value]
    """As many, or none where numbers are signed"""


@dataclass(frozen=True)
class Layout:
    """How a format lies in memory."""

    values: int
    """Numbers per block"""
    size: int
    """Bytes per block"""
    largest: int
    """Of the whole numbers; 0 if they are signed"""
    groups: Callable[[Tile], Iterator[Group]]
    """The groups of a tile's blocks in the order of the columns"""
    halves: bool = False
    """Whether each half of a group has a scale of its own"""


class Tile:
    """One block of each of eight rows, at these addresses."""

    def __init__(self, builder: ir.IRBuilder, rows: list[Value]) -> None:
        if len(rows) != TILE:
            raise ValueError("a tile has eight rows")
        self.builder = builder
        self._rows = rows

    def bytes(self, at: int) -> list[Value]:
        """16 bytes of each row, from `at` on: four vectors of 32, rows i and i + 4."""
        half = ir.VectorType(simd._I8, 16)
        parts = [self._load(row, at, half) for row in self._rows]
        return [simd._shuffle(self.builder, parts[i], parts[i + 4], list(range(32))) for i in range(4)]

    def bits(self, at: int) -> list[Value]:
        """16 bits of each row as bytes of 0 or 16, laid out as `bytes`."""
        words = [self.builder.zext(self._load(row, at, simd._I16), simd._I32) for row in self._rows]
        sixteen, zero = _bytes(16), _bytes(0)
        vectors = []
        for i in range(4):
            both = self.builder.or_(words[i], self.builder.shl(words[i + 4], ir.Constant(simd._I32, 16)))
            mask = self.builder.bitcast(both, ir.VectorType(ir.IntType(1), 32))
            vectors.append(self.builder.select(mask, sixteen, zero))
        return vectors

    def halves(self, at: int) -> Value:
        """A float16 of each row, widened."""
        return self._widen(self._gather(at, simd._I16))

    def half_pairs(self, at: int) -> tuple[Value, Value]:
        """Two float16 of each row, one behind the other, widened."""
        both = self._gather(at, simd._I32)
        words = ir.VectorType(simd._I16, 8)
        first = self.builder.trunc(both, words)
        second = self.builder.trunc(self.builder.lshr(both, ir.Constant(simd._I32X8, [16] * 8)), words)
        return self._widen(first), self._widen(second)

    def ints(self, at: int) -> Value:
        """Four bytes of each row, as int32."""
        return self._gather(at, simd._I32)

    def one_byte(self, at: int) -> Value:
        """A byte of each row, as int32. Put together as one number: inserting bytes would keep shuffles waiting."""
        builder = self.builder
        word = ir.Constant(simd._I64, 0)
        for lane, row in enumerate(self._rows):
            byte = builder.zext(self._load(row, at, simd._I8), simd._I64)
            word = builder.or_(word, builder.shl(byte, ir.Constant(simd._I64, 8 * lane)))
        return builder.zext(builder.bitcast(word, ir.VectorType(simd._I8, TILE)), simd._I32X8)

    def _gather(self, at: int, kind: ir.Type) -> Value:
        vector = ir.Constant(ir.VectorType(kind, TILE), ir.Undefined)
        for lane, row in enumerate(self._rows):
            vector = self.builder.insert_element(vector, self._load(row, at, kind), ir.Constant(simd._I32, lane))
        return vector

    def _load(self, row: Value, at: int, kind: ir.Type) -> Value:
        address = self.builder.add(row, ir.Constant(simd._I64, at)) if at else row
        return simd._load(self.builder, address, kind)

    def _widen(self, words: Value) -> Value:
        return self.builder.fpext(self.builder.bitcast(words, ir.VectorType(ir.HalfType(), TILE)), simd._F32X8)


def _bytes(value: int) -> ir.Constant:
    return ir.Constant(simd._I8X32, [value] * 32)


def _floats(value: float) -> ir.Constant:
    return ir.Constant(simd._F32X8, [value] * 8)


def _ints(value: int) -> ir.Constant:
    return ir.Constant(simd._I32X8, [value] * 8)


def _low_nibbles(tile: Tile, packed: list[Value]) -> list[Value]:
    return [tile.builder.and_(v, _bytes(15)) for v in packed]


def _high_nibbles(tile: Tile, packed: list[Value]) -> list[Value]:
    return [tile.builder.lshr(v, _bytes(4)) for v in packed]


def _looked_up(tile: Tile, table: list[int], nibbles: list[Value]) -> list[Value]:
    return [simd._look_up(tile.builder, table, v) for v in nibbles]


def _or(tile: Tile, first: list[Value], second: list[Value]) -> list[Value]:
    return [tile.builder.or_(a, b) for a, b in zip(first, second, strict=True)]


def _q4_0(tile: Tile) -> Iterator[Group]:
    packed, d = tile.bytes(2), tile.halves(0)
    offset = tile.builder.fmul(d, _floats(-8.0))
    yield Group(_low_nibbles(tile, packed), _high_nibbles(tile, packed), [d], [offset])


def _q4_1(tile: Tile) -> Iterator[Group]:
    packed = tile.bytes(4)
    d, m = tile.half_pairs(0)
    yield Group(_low_nibbles(tile, packed), _high_nibbles(tile, packed), [d], [m])


def _q5_0(tile: Tile) -> Iterator[Group]:
    packed, d = tile.bytes(6), tile.halves(0)
    low = _or(tile, _low_nibbles(tile, packed), tile.bits(2))
    high = _or(tile, _high_nibbles(tile, packed), tile.bits(4))
    yield Group(low, high, [d], [tile.builder.fmul(d, _floats(-16.0))])


def _q5_1(tile: Tile) -> Iterator[Group]:
    packed = tile.bytes(8)
    d, m = tile.half_pairs(0)
    low = _or(tile, _low_nibbles(tile, packed), tile.bits(4))
    high = _or(tile, _high_nibbles(tile, packed), tile.bits(6))
    yield Group(low, high, [d], [m])


def _q8_0(tile: Tile) -> Iterator[Group]:
    low, high, d = tile.bytes(2), tile.bytes(18), tile.halves(0)
    if not simd.HAS_VNNI:
        yield Group(low, high, [d], [])
        return
    shift = _bytes(128)  # signed + 128 is unsigned, by flipping the highest bit
    low, high = ([tile.builder.xor(v, shift) for v in part] for part in (low, high))
    yield Group(low, high, [d], [tile.builder.fmul(d, _floats(-128.0))])


def _six_bits(tile: Tile) -> list[tuple[Value, Value]]:
    """Scale and offset of the eight groups of Q4_K and Q5_K: six bits each, those of the last four in two places."""
    builder = tile.builder
    d, dmin = tile.half_pairs(0)
    dmin = builder.fneg(dmin)
    first, second, third = tile.ints(4), tile.ints(8), tile.ints(12)

    def part(v: Value, shift: int, mask: int) -> Value:
        return builder.and_(builder.lshr(v, _ints(shift)), _ints(mask))

    def times(factor: Value, v: Value) -> Value:
        return builder.fmul(factor, builder.sitofp(v, simd._F32X8))

    early = [(times(d, part(first, 8 * j, 63)), times(dmin, part(second, 8 * j, 63))) for j in range(4)]
    late = []
    for j in range(4):
        scale = builder.or_(part(third, 8 * j, 15), builder.shl(part(first, 8 * j + 6, 3), _ints(4)))
        offset = builder.or_(part(third, 8 * j + 4, 15), builder.shl(part(second, 8 * j + 6, 3), _ints(4)))
        late.append((times(d, scale), times(dmin, offset)))
    return early + late


def _q4_k(tile: Tile) -> Iterator[Group]:
    factors = _six_bits(tile)
    for j in range(4):
        low, high = tile.bytes(16 + 32 * j), tile.bytes(32 + 32 * j)
        for nibbles, (scale, offset) in zip((_low_nibbles, _high_nibbles), factors[2 * j : 2 * j + 2], strict=True):
            yield Group(nibbles(tile, low), nibbles(tile, high), [scale], [offset])


def _bit(tile: Tile, vectors: list[Value], which: int) -> list[Value]:
    """One bit of each byte, as 0 or 16."""
    shifted = [tile.builder.lshr(v, _bytes(which)) for v in vectors]
    return [tile.builder.shl(tile.builder.and_(v, _bytes(1)), _bytes(4)) for v in shifted]


def _q5_k(tile: Tile) -> Iterator[Group]:
    factors = _six_bits(tile)
    low_bits, high_bits = tile.bytes(16), tile.bytes(32)
    for k, (scale, offset) in enumerate(factors):
        nibbles = _high_nibbles if k % 2 else _low_nibbles
        low, high = (nibbles(tile, tile.bytes(48 + 32 * (k // 2) + half)) for half in (0, 16))
        yield Group(
            _or(tile, low, _bit(tile, low_bits, k)), _or(tile, high, _bit(tile, high_bits, k)), [scale], [offset]
        )


def _q6_k(tile: Tile) -> Iterator[Group]:
    builder = tile.builder
    d = tile.halves(208)
    scales = []
    for j in range(16):
        if j % 4 == 0:
            four = tile.ints(192 + j)
        byte = builder.ashr(builder.shl(four, _ints(24 - 8 * (j % 4))), _ints(24))
        scales.append(builder.fmul(d, builder.sitofp(byte, simd._F32X8)))
    for k in range(8):
        half, quarter = divmod(k, 4)
        nibbles = _high_nibbles if quarter >= 2 else _low_nibbles
        parts = []
        for side in (0, 16):
            packed = tile.bytes(64 * half + 32 * (quarter % 2) + side)
            top = [builder.lshr(v, _bytes(2 * quarter)) for v in tile.bytes(128 + 32 * half + side)]
            top = [builder.shl(builder.and_(v, _bytes(3)), _bytes(4)) for v in top]
            parts.append(_or(tile, nibbles(tile, packed), top))
        here = scales[2 * k : 2 * k + 2]
        yield Group(parts[0], parts[1], here, [builder.fmul(s, _floats(-32.0)) for s in here])


_LARGEST_E2M1 = 12


def _half_power(tile: Tile, exponent: Value) -> Value:
    """2^(e - 128) of eight int32: subnormal for 0 and 1."""
    builder = tile.builder
    small = builder.shl(_ints(0x00200000), exponent)
    usual = builder.shl(builder.sub(exponent, _ints(1)), _ints(23))
    bits = builder.select(builder.icmp_unsigned("<", exponent, _ints(2)), small, usual)
    return builder.bitcast(bits, simd._F32X8)


def _mxfp4(tile: Tile) -> Iterator[Group]:
    packed, d = tile.bytes(1), _half_power(tile, tile.one_byte(0))
    table = [value + _LARGEST_E2M1 for value in TWICE_E2M1]
    low, high = (
        _looked_up(tile, table, _low_nibbles(tile, packed)),
        _looked_up(tile, table, _high_nibbles(tile, packed)),
    )
    yield Group(low, high, [d], [tile.builder.fmul(d, _floats(-float(_LARGEST_E2M1)))])


LAYOUTS: dict[str, Layout] = {
    "Q4_0": Layout(32, 18, 15, _q4_0),
    "Q4_1": Layout(32, 20, 15, _q4_1),
    "Q5_0": Layout(32, 22, 31, _q5_0),
    "Q5_1": Layout(32, 24, 31, _q5_1),
    "Q8_0": Layout(32, 34, 255 if simd.HAS_VNNI else 0, _q8_0),
    "Q4_K": Layout(256, 144, 15, _q4_k),
    "Q5_K": Layout(256, 176, 31, _q5_k),
    "Q6_K": Layout(256, 210, 63, _q6_k, halves=True),
    "MXFP4": Layout(32, 17, 2 * _LARGEST_E2M1, _mxfp4),
}
