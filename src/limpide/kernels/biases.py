"""The kernel that puts biases where products are added to them afterwards."""

from __future__ import annotations

from collections.abc import Callable

from limpide.kernels import simd
from limpide.kernels.functions import argument, inline

_SHARED = 3
_EACH = 4
_ROWS_AT_ONCE = 16


@inline
def _field(arguments, index, field):  # type: ignore[no-untyped-def]
    return simd.load_i64(arguments + 8 * (_SHARED + _EACH * index + field))


def repeat(mode: str) -> Callable[[int], None]:
    """Each row of some tensors becomes the tensor's bias ("write"), or has it added ("add").

    Arguments: ticket, rows, number of tensors; per tensor its address, bytes between its rows, the bias, its length.
    """
    add = mode == "add"

    def kernel(arguments):  # type: ignore[no-untyped-def]
        rows, num = argument(arguments, 1), argument(arguments, 2)
        while True:
            first = simd.fetch_add(arguments, _ROWS_AT_ONCE)
            if first >= rows:
                return
            for i in range(num):
                out, stride = _field(arguments, i, 0), _field(arguments, i, 1)
                bias, count = _field(arguments, i, 2), _field(arguments, i, 3)
                whole = count // 8 * 8
                for r in range(first, simd.smaller(first + _ROWS_AT_ONCE, rows)):
                    to = out + r * stride
                    for c in range(0, 4 * whole, 32):
                        v = simd.load_f32x8(bias + c)
                        if add:
                            v = simd.add(simd.load_f32x8(to + c), v)
                        simd.store_f32x8(to + c, v)
                    for c in range(4 * whole, 4 * count, 4):
                        y = simd.load_f32(bias + c)
                        if add:
                            y = simd.load_f32(to + c) + y
                        simd.store_f32(to + c, y)

    return kernel
