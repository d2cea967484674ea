"""Products with small float32 matrices, such as a router's, for which torch would wake and wait for its threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.functions import argument


def multiply() -> Callable[[int], None]:
    """y[m, n] = sum over k of x[m, k] w[n, k], each sum in the same order whatever m and n are.

    Arguments: ticket, rows of x, columns (a multiple of 32), x, bytes between its rows, w, rows of w, y. All float32; w
    and y contiguous.
    """

    def kernel(arguments):  # type: ignore[no-untyped-def]
        rows, columns = argument(arguments, 1), argument(arguments, 2)
        x, stride = argument(arguments, 3), argument(arguments, 4)
        w, height, y = argument(arguments, 5), argument(arguments, 6), argument(arguments, 7)
        while True:
            row = simd.fetch_add(arguments, 1)
            if row >= rows:
                return
            values = x + row * stride
            for n in range(height):
                weights = w + 4 * n * columns
                a = simd.splat(np.float32(0))
                b = a
                c = a
                d = a
                for at in range(0, 4 * columns, 128):
                    a = simd.fma(simd.load_f32x8(values + at), simd.load_f32x8(weights + at), a)
                    b = simd.fma(simd.load_f32x8(values + at + 32), simd.load_f32x8(weights + at + 32), b)
                    c = simd.fma(simd.load_f32x8(values + at + 64), simd.load_f32x8(weights + at + 64), c)
                    d = simd.fma(simd.load_f32x8(values + at + 96), simd.load_f32x8(weights + at + 96), d)
                total = simd.lane_sum(simd.add(simd.add(a, b), simd.add(c, d)))
                simd.store_f32(y + 4 * (row * height + n), total)

    return kernel
