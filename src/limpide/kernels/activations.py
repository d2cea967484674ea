"""Kernels that make a matrix's input: norm or gate the activations, then round them to bytes.

All rows are independent. Threads take eight at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.fields import FINE
from limpide.kernels.functions import argument, clamped_silu, gelu_tanh, inline, mean_square_scale, silu

_ROWS_AT_ONCE = 8


@inline
def _store_bytes(a, b, c, d, scale, q, f):  # type: ignore[no-untyped-def]
    """32 whole numbers as bytes, with their factors: the scale, and the sums (times the scale) of halves and all."""
    simd.store_as_i8(q, simd.to_i32(a))
    simd.store_as_i8(q + 8, simd.to_i32(b))
    simd.store_as_i8(q + 16, simd.to_i32(c))
    simd.store_as_i8(q + 24, simd.to_i32(d))
    first, second = scale * simd.lane_sum(simd.add(a, b)), scale * simd.lane_sum(simd.add(c, d))
    simd.store_f32(f, scale)
    simd.store_f32(f + 4, first)
    simd.store_f32(f + 8, second)
    simd.store_f32(f + 12, first + second)


@inline
def _inverse(scale):  # type: ignore[no-untyped-def]
    """1 / scale, or 0 where the group is so small that it is."""
    return np.float32(1) / scale if scale > np.float32(1e-32) else np.float32(0)


@inline
def _round(x, inverse):  # type: ignore[no-untyped-def]
    return simd.round_even(simd.mul(x, inverse))


@inline
def _rest(x, rounded, inverse):  # type: ignore[no-untyped-def]
    """What rounding lost, in units of 1/254 of the scale: from -127 to 127."""
    return simd.round_even(simd.mul(simd.sub(simd.mul(x, inverse), rounded), simd.splat(np.float32(254))))


@inline
def _round_group(values, q, factors):  # type: ignore[no-untyped-def]
    """32 float32 to bytes and factors."""
    a, b = simd.load_f32x8(values), simd.load_f32x8(values + 32)
    c, d = simd.load_f32x8(values + 64), simd.load_f32x8(values + 96)
    inverse = simd.splat(_inverse(simd.load_f32(factors)))
    scale = simd.load_f32(factors)
    _store_bytes(_round(a, inverse), _round(b, inverse), _round(c, inverse), _round(d, inverse), scale, q, factors)


@inline
def _round_rest(values, q, factors, scale):  # type: ignore[no-untyped-def]
    """What rounding 32 float32 with this scale lost."""
    a, b = simd.load_f32x8(values), simd.load_f32x8(values + 32)
    c, d = simd.load_f32x8(values + 64), simd.load_f32x8(values + 96)
    inverse = simd.splat(_inverse(scale))
    _store_bytes(
        _rest(a, _round(a, inverse), inverse),
        _rest(b, _round(b, inverse), inverse),
        _rest(c, _round(c, inverse), inverse),
        _rest(d, _round(d, inverse), inverse),
        scale / np.float32(254),
        q,
        factors,
    )


def round_rows(kind: str) -> Callable[[int], None]:
    """Rows of float32 as bytes. `kind`: plain, norm, silu, gelu_tanh or clamped.

    A scale is a group's largest value over 127. A few groups with large values make most of the error that rounding
    brings into a product, so for these what rounding lost is kept in a second set of bytes, behind `padded` rows; the
    second scales of all other groups are zero. Each row decides for itself.

    Arguments: ticket, thread, rows, columns, q, factors, x, bytes between rows of x; two that depend on the kind: for
    norm the weight and epsilon as the bits of a float32, for the gated kinds the rows that the activated ones are
    multiplied with and the bytes between them; padded; how much above its row's mean a group's squared scale has to be
    for its rest to be kept, [rows] float32 (0: FINE for all); for clamped its alpha and its limit as the bits of
    float32; scratch for a row of float32, its size per thread.
    """
    norm, clamped = kind == "norm", kind == "clamped"
    gated = clamped or kind in {"silu", "gelu_tanh"}
    activate = gelu_tanh if kind == "gelu_tanh" else silu
    scratch = 14 if clamped else 12

    @inline
    def load(x, other, factor, limit):  # type: ignore[no-untyped-def]
        v = simd.load_f32x8(x)
        if clamped:
            return clamped_silu(v, simd.load_f32x8(other), factor, limit)
        if norm:
            return simd.mul(simd.mul(v, factor), simd.load_f32x8(other))
        if gated:
            return simd.mul(activate(v), simd.load_f32x8(other))
        return v

    def kernel(arguments):  # type: ignore[no-untyped-def]
        thread = simd.fetch_add(arguments + 8, 1)
        rows, columns = argument(arguments, 2), argument(arguments, 3)
        q, factors, x = argument(arguments, 4), argument(arguments, 5), argument(arguments, 6)
        stride, other = argument(arguments, 7), argument(arguments, 8)
        other_stride, padded = argument(arguments, 9), argument(arguments, 10)
        thresholds = argument(arguments, 11)
        values = argument(arguments, scratch) + thread * argument(arguments, scratch + 1)
        groups = columns // 32
        factor = simd.splat(np.float32(1))
        clamp = factor
        if clamped:
            factor, clamp = simd.splat(simd.load_f32(arguments + 96)), simd.splat(simd.load_f32(arguments + 104))
        while True:
            first = simd.fetch_add(arguments, _ROWS_AT_ONCE)
            if first >= rows:
                return
            for r in range(first, simd.smaller(first + _ROWS_AT_ONCE, rows)):
                row = x + r * stride
                second = other
                if gated:
                    second += r * other_stride
                if norm:
                    factor = simd.splat(mean_square_scale(row, columns, simd.load_f32(arguments + 72)))
                total = np.float32(0)
                for g in range(groups):
                    at = 128 * g
                    a = load(row + at, second + at, factor, clamp)
                    b = load(row + at + 32, second + at + 32, factor, clamp)
                    c = load(row + at + 64, second + at + 64, factor, clamp)
                    d = load(row + at + 96, second + at + 96, factor, clamp)
                    simd.store_f32x8(values + at, a)
                    simd.store_f32x8(values + at + 32, b)
                    simd.store_f32x8(values + at + 64, c)
                    simd.store_f32x8(values + at + 96, d)
                    top = simd.maximum(simd.absolute(a), simd.absolute(b))
                    top = simd.maximum(top, simd.maximum(simd.absolute(c), simd.absolute(d)))
                    scale = simd.lane_max(top) / np.float32(127)
                    simd.store_f32(factors + 16 * (r * groups + g), scale)
                    total += scale * scale
                threshold = np.float32(FINE)
                if thresholds != 0:
                    threshold = simd.load_f32(thresholds + 4 * r)
                limit = total * threshold / np.float32(groups)
                for g in range(groups):
                    here, behind = r * groups + g, (r + padded) * groups + g
                    scale = simd.load_f32(factors + 16 * here)
                    _round_group(values + 128 * g, q + 32 * here, factors + 16 * here)
                    if scale * scale > limit:
                        _round_rest(values + 128 * g, q + 32 * behind, factors + 16 * behind, scale)
                    else:
                        for i in range(4):
                            simd.store_f32(factors + 16 * behind + 4 * i, np.float32(0))

    return kernel


def norm_rows(mode: str) -> Callable[[int], None]:
    """x = norm(y) ("write"), or x += norm(y) ("add"): what a norm after a sublayer adds to the residual stream.

    Arguments: ticket, rows, columns, x, y, bytes between rows of y, weight, epsilon as the bits of a float32. Rows of
    x are contiguous.
    """
    add = mode == "add"

    def kernel(arguments):  # type: ignore[no-untyped-def]
        rows, columns = argument(arguments, 1), argument(arguments, 2)
        x, y, stride = argument(arguments, 3), argument(arguments, 4), argument(arguments, 5)
        weight, epsilon = argument(arguments, 6), simd.load_f32(arguments + 56)
        while True:
            first = simd.fetch_add(arguments, _ROWS_AT_ONCE)
            if first >= rows:
                return
            for r in range(first, simd.smaller(first + _ROWS_AT_ONCE, rows)):
                source, target = y + r * stride, x + r * columns * 4
                factor = simd.splat(mean_square_scale(source, columns, epsilon))
                for c in range(0, 4 * columns, 32):
                    v = simd.mul(simd.mul(simd.load_f32x8(source + c), factor), simd.load_f32x8(weight + c))
                    if add:
                        v = simd.add(simd.load_f32x8(target + c), v)
                    simd.store_f32x8(target + c, v)

    return kernel
