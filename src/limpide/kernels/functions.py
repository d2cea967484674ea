"""Functions of eight lanes that kernels are made of."""

from __future__ import annotations

import numpy as np
from numba import njit

from limpide.kernels import simd

inline = njit(error_model="numpy")


@inline
def argument(arguments, index):  # type: ignore[no-untyped-def]
    """One of a kernel's arguments."""
    return simd.load_i64(arguments + 8 * index)


@inline
def exp(x):  # type: ignore[no-untyped-def]
    """e**x with a relative error under 2e-7 from -87 to 88, and the nearest of these results outside."""
    x = simd.maximum(simd.minimum(x, simd.splat(np.float32(88.0))), simd.splat(np.float32(-87.0)))
    n = simd.round_even(simd.mul(x, simd.splat(np.float32(1.4426950408889634))))
    # ln 2 in two parts, so that the difference keeps all its bits
    r = simd.fma(n, simd.splat(np.float32(-0.693359375)), x)
    r = simd.fma(n, simd.splat(np.float32(2.12194440e-4)), r)
    p = simd.splat(np.float32(1 / 5040))
    p = simd.fma(p, r, simd.splat(np.float32(1 / 720)))
    p = simd.fma(p, r, simd.splat(np.float32(1 / 120)))
    p = simd.fma(p, r, simd.splat(np.float32(1 / 24)))
    p = simd.fma(p, r, simd.splat(np.float32(1 / 6)))
    p = simd.fma(p, r, simd.splat(np.float32(0.5)))
    p = simd.fma(p, r, simd.splat(np.float32(1)))
    p = simd.fma(p, r, simd.splat(np.float32(1)))
    return simd.mul(p, simd.power_of_two(n))


@inline
def silu(x):  # type: ignore[no-untyped-def]
    """x / (1 + e**-x)."""
    one = simd.splat(np.float32(1))
    return simd.div(x, simd.add(one, exp(simd.sub(simd.splat(np.float32(0)), x))))


@inline
def gelu_tanh(x):  # type: ignore[no-untyped-def]
    """x (1 + tanh u) / 2 with u = sqrt(2/pi) (x + 0.044715 x**3), as x / (1 + e**-2u)."""
    cube = simd.mul(simd.mul(x, x), simd.mul(x, simd.splat(np.float32(0.044715))))
    u2 = simd.mul(simd.add(x, cube), simd.splat(np.float32(-2 * 0.7978845608028654)))
    return simd.div(x, simd.add(simd.splat(np.float32(1)), exp(u2)))


@inline
def clamped_silu(gate, up, alpha, limit):  # type: ignore[no-untyped-def]
    """gpt-oss: (clamp(up, ±limit) + 1) · g / (1 + e**(-alpha g)) with g = min(gate, limit)."""
    one, zero = simd.splat(np.float32(1)), simd.splat(np.float32(0))
    g = simd.minimum(gate, limit)
    u = simd.maximum(simd.minimum(up, limit), simd.sub(zero, limit))
    return simd.div(simd.mul(simd.add(u, one), g), simd.add(one, exp(simd.sub(zero, simd.mul(g, alpha)))))


@inline
def mean_square_scale(x, columns, epsilon):  # type: ignore[no-untyped-def]
    """1 / sqrt(mean(x**2) + epsilon) over a row of float32."""
    total = simd.splat(np.float32(0))
    for c in range(0, columns, 8):
        v = simd.load_f32x8(x + 4 * c)
        total = simd.fma(v, v, total)
    mean = simd.lane_sum(total) / np.float32(columns)
    return np.float32(1) / simd.sqrt(mean + epsilon)
