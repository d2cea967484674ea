"""Kernels that make a matrix's input: norm or gate the activations, then round them to bytes.

All rows are independent. Threads take eight at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.functions import argument, gelu_tanh, inline, mean_square_scale, silu

_ROWS_AT_ONCE = 8
REST_THRESHOLD = 2.0
"""A group keeps its rest if its squared scale is so many times the row's mean: about one group in nine."""


@inline
def _store_bytes(a, b, c, d, scale, q, s, m):  # type: ignore[no-untyped-def]
    """32 whole numbers as bytes, with their scale and the sums (times the scale) of each half."""
    simd.store_as_i8(q, simd.to_i32(a))
    simd.store_as_i8(q + 8, simd.to_i32(b))
    simd.store_as_i8(q + 16, simd.to_i32(c))
    simd.store_as_i8(q + 24, simd.to_i32(d))
    simd.store_f32(s, scale)
    simd.store_f32(m, scale * simd.lane_sum(simd.add(a, b)))
    simd.store_f32(m + 4, scale * simd.lane_sum(simd.add(c, d)))


@inline
def _round(x, inverse):  # type: ignore[no-untyped-def]
    return simd.round_even(simd.mul(x, inverse))


@inline
def _rest(x, rounded, inverse):  # type: ignore[no-untyped-def]
    """What rounding lost, in units of 1/254 of the scale: from -127 to 127."""
    return simd.round_even(simd.mul(simd.sub(simd.mul(x, inverse), rounded), simd.splat(np.float32(254))))


@inline
def _keep_largest_rests(s, rest_s, rest_m, groups):  # type: ignore[no-untyped-def]
    """Of one row, keep the rests of groups whose scale is well above the row's; the others become zero."""
    total = np.float32(0)
    for g in range(groups):
        scale = simd.load_f32(s + 4 * g)
        total += scale * scale
    limit = total * np.float32(REST_THRESHOLD) / np.float32(groups)
    for g in range(groups):
        scale = simd.load_f32(s + 4 * g)
        if scale * scale <= limit:
            simd.store_f32(rest_s + 4 * g, np.float32(0))
            simd.store_f32(rest_m + 8 * g, np.float32(0))
            simd.store_f32(rest_m + 8 * g + 4, np.float32(0))


def round_rows(kind: str) -> Callable[[int], None]:
    """Rows of float32 as bytes. `kind`: plain, norm, silu or gelu_tanh.

    A scale is a group's largest value over 127. A few groups with large values make most of the error that rounding
    brings into a product, so for these what rounding lost is kept in a second set of bytes, behind `padded` rows; the
    second scales of all other groups are zero. Each row decides for itself.

    Arguments: ticket, rows, columns, q, scales, sums, x, bytes between rows of x; two that depend on the kind: for
    norm the weight and epsilon as the bits of a float32, for the gated kinds the rows that the activated ones are
    multiplied with and the bytes between them; padded.
    """
    norm, gated = kind == "norm", kind in {"silu", "gelu_tanh"}
    activate = gelu_tanh if kind == "gelu_tanh" else silu

    @inline
    def load(x, other, factor):  # type: ignore[no-untyped-def]
        v = simd.load_f32x8(x)
        if norm:
            return simd.mul(simd.mul(v, factor), simd.load_f32x8(other))
        if gated:
            return simd.mul(activate(v), simd.load_f32x8(other))
        return v

    def kernel(arguments):  # type: ignore[no-untyped-def]
        rows, columns = argument(arguments, 1), argument(arguments, 2)
        q, s, m = argument(arguments, 3), argument(arguments, 4), argument(arguments, 5)
        x, stride = argument(arguments, 6), argument(arguments, 7)
        other = argument(arguments, 8)
        other_stride, padded = argument(arguments, 9), argument(arguments, 10)
        groups = columns // 32
        factor = simd.splat(np.float32(1))
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
                for g in range(groups):
                    at = 128 * g
                    a, b = load(row + at, second + at, factor), load(row + at + 32, second + at + 32, factor)
                    c, d = load(row + at + 64, second + at + 64, factor), load(row + at + 96, second + at + 96, factor)
                    top = simd.maximum(simd.absolute(a), simd.absolute(b))
                    top = simd.maximum(top, simd.maximum(simd.absolute(c), simd.absolute(d)))
                    largest = simd.lane_max(top)
                    scale = largest / np.float32(127)
                    inverse = simd.splat(np.float32(127) / largest if largest > np.float32(1e-30) else np.float32(0))
                    ra, rb, rc, rd = _round(a, inverse), _round(b, inverse), _round(c, inverse), _round(d, inverse)
                    here = r * groups + g
                    _store_bytes(ra, rb, rc, rd, scale, q + 32 * here, s + 4 * here, m + 8 * here)
                    here += padded * groups
                    a, b, c, d = (
                        _rest(a, ra, inverse),
                        _rest(b, rb, inverse),
                        _rest(c, rc, inverse),
                        _rest(d, rd, inverse),
                    )
                    scale /= np.float32(254)
                    _store_bytes(a, b, c, d, scale, q + 32 * here, s + 4 * here, m + 8 * here)
                rest = (r + padded) * groups
                _keep_largest_rests(s + 4 * r * groups, s + 4 * rest, m + 8 * rest, groups)

    return kernel


def add_norm() -> Callable[[int], None]:
    """x += norm(y): what a norm after a sublayer adds to the residual stream.

    Arguments: ticket, rows, columns, x, y, bytes between rows of y, weight, epsilon as the bits of a float32. Rows of
    x are contiguous.
    """

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
                    simd.store_f32x8(target + c, simd.add(simd.load_f32x8(target + c), v))

    return kernel
