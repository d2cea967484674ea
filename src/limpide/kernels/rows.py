"""From stored blocks to bytes, scales and offsets: the one part of a multiplication that knows the format.

A decoder turns one row of blocks into integers q (one byte each), and for each group of values a scale s and an
offset m, so that a value is q*s + m. q is unsigned and at most `largest`, or signed if `largest` is 0 (then there is
no offset). Layouts: ggml's ggml-common.h; see the files of limpide.quant, which unpack the same formats with torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from limpide.kernels import simd

Decode = Callable[[int, int, int, int, int, int], None]
"""(row, q, scales, offsets, columns, stride): addresses; scales of one row lie `stride` bytes apart."""


@dataclass(frozen=True)
class RowFormat:
    """How a row decodes. `group`: values that share a scale, 16 or 32."""

    group: int
    largest: int
    decode: Any


_inline = njit(error_model="numpy")


@_inline
def _q4_0(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    for _ in range(columns // 32):
        d = simd.load_f16(row)
        simd.store_i8x32(q, simd.load_nibbles(row + 2))
        simd.store_f32(s, d)
        simd.store_f32(m, np.float32(-8) * d)
        row += 18
        q += 32
        s += stride
        m += stride


@_inline
def _q4_1(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    for _ in range(columns // 32):
        simd.store_i8x32(q, simd.load_nibbles(row + 4))
        simd.store_f32(s, simd.load_f16(row))
        simd.store_f32(m, simd.load_f16(row + 2))
        row += 20
        q += 32
        s += stride
        m += stride


@_inline
def _fifth_bits(bits, low):  # type: ignore[no-untyped-def]
    return simd.or_(low, simd.shift_left(simd.expand_bits(simd.load_i32(bits)), np.uint8(4)))


@_inline
def _q5_0(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    for _ in range(columns // 32):
        d = simd.load_f16(row)
        simd.store_i8x32(q, _fifth_bits(row + 2, simd.load_nibbles(row + 6)))
        simd.store_f32(s, d)
        simd.store_f32(m, np.float32(-16) * d)
        row += 22
        q += 32
        s += stride
        m += stride


@_inline
def _q5_1(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    for _ in range(columns // 32):
        simd.store_i8x32(q, _fifth_bits(row + 4, simd.load_nibbles(row + 8)))
        simd.store_f32(s, simd.load_f16(row))
        simd.store_f32(m, simd.load_f16(row + 2))
        row += 24
        q += 32
        s += stride
        m += stride


@_inline
def _q8_0(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    for _ in range(columns // 32):
        simd.store_i8x32(q, simd.load_i8x32(row + 2))
        simd.store_f32(s, simd.load_f16(row))
        row += 34
        q += 32
        s += stride


@_inline
def _k_scales(row, s, m, stride):  # type: ignore[no-untyped-def]
    """Scales and offsets of the eight groups of Q4_K and Q5_K: six bits each, those of the last four groups in two
    places.
    """
    d, dmin = simd.load_f16(row), -simd.load_f16(row + 2)
    for j in range(4):
        first, second, third = simd.load_u8(row + 4 + j), simd.load_u8(row + 8 + j), simd.load_u8(row + 12 + j)
        here, later = j * stride, (j + 4) * stride
        simd.store_f32(s + here, d * np.float32(first & 63))
        simd.store_f32(m + here, dmin * np.float32(second & 63))
        simd.store_f32(s + later, d * np.float32((third & 15) | ((first >> 6) << 4)))
        simd.store_f32(m + later, dmin * np.float32((third >> 4) | ((second >> 6) << 4)))


@_inline
def _q4_k(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    low = simd.splat_u8(np.uint8(15))
    for _ in range(columns // 256):
        _k_scales(row, s, m, stride)
        for j in range(4):
            packed = simd.load_i8x32(row + 16 + 32 * j)
            simd.store_i8x32(q + 64 * j, simd.and_(packed, low))
            simd.store_i8x32(q + 64 * j + 32, simd.shift_right(packed, np.uint8(4)))
        row += 144
        q += 256
        s += 8 * stride
        m += 8 * stride


@_inline
def _q5_k(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    low, one = simd.splat_u8(np.uint8(15)), simd.splat_u8(np.uint8(1))
    for _ in range(columns // 256):
        _k_scales(row, s, m, stride)
        high = simd.load_i8x32(row + 16)
        for j in range(4):
            packed = simd.load_i8x32(row + 48 + 32 * j)
            even = simd.shift_left(simd.and_(simd.shift_right(high, np.uint8(2 * j)), one), np.uint8(4))
            odd = simd.shift_left(simd.and_(simd.shift_right(high, np.uint8(2 * j + 1)), one), np.uint8(4))
            simd.store_i8x32(q + 64 * j, simd.or_(simd.and_(packed, low), even))
            simd.store_i8x32(q + 64 * j + 32, simd.or_(simd.shift_right(packed, np.uint8(4)), odd))
        row += 176
        q += 256
        s += 8 * stride
        m += 8 * stride


@_inline
def _q6_k(row, q, s, m, columns, stride):  # type: ignore[no-untyped-def]
    low, two = simd.splat_u8(np.uint8(15)), simd.splat_u8(np.uint8(3))
    for _ in range(columns // 256):
        d = simd.load_f16(row + 208)
        for j in range(16):
            scale = d * np.float32(simd.load_i8(row + 192 + j))
            simd.store_f32(s + j * stride, scale)
            simd.store_f32(m + j * stride, np.float32(-32) * scale)
        for half in range(2):
            high = simd.load_i8x32(row + 128 + 32 * half)
            first, second = simd.load_i8x32(row + 64 * half), simd.load_i8x32(row + 64 * half + 32)
            to = q + 128 * half
            bits = simd.shift_left(simd.and_(high, two), np.uint8(4))
            simd.store_i8x32(to, simd.or_(simd.and_(first, low), bits))
            bits = simd.shift_left(simd.and_(simd.shift_right(high, np.uint8(2)), two), np.uint8(4))
            simd.store_i8x32(to + 32, simd.or_(simd.and_(second, low), bits))
            bits = simd.shift_left(simd.and_(simd.shift_right(high, np.uint8(4)), two), np.uint8(4))
            simd.store_i8x32(to + 64, simd.or_(simd.shift_right(first, np.uint8(4)), bits))
            bits = simd.shift_left(simd.shift_right(high, np.uint8(6)), np.uint8(4))
            simd.store_i8x32(to + 96, simd.or_(simd.shift_right(second, np.uint8(4)), bits))
        row += 210
        q += 256
        s += 16 * stride
        m += 16 * stride


ROW_FORMATS: dict[str, RowFormat] = {
    "Q4_0": RowFormat(32, 15, _q4_0),
    "Q4_1": RowFormat(32, 15, _q4_1),
    "Q5_0": RowFormat(32, 31, _q5_0),
    "Q5_1": RowFormat(32, 31, _q5_1),
    "Q8_0": RowFormat(32, 0, _q8_0),
    "Q4_K": RowFormat(32, 15, _q4_k),
    "Q5_K": RowFormat(32, 31, _q5_k),
    "Q6_K": RowFormat(16, 63, _q6_k),
}
