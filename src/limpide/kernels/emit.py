"""Writing LLVM code by hand, for the inner loops whose registers are a table of values while the code is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from limpide.kernels import simd

Value = Any
"""An llvmlite value; its classes are not annotated."""


class Code:
    """A builder with the few operations on addresses and vectors that products need."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def number(self, value: int) -> Value:
        """An int64."""
        return ir.Constant(simd._I64, value)

    def at(self, base: Value, index: Value, factor: int = 1, more: int = 0) -> Value:
        """base + index * factor + more: an address."""
        scaled = self.builder.mul(index, self.number(factor)) if factor != 1 else index
        address = self.builder.add(base, scaled)
        return self.builder.add(address, self.number(more)) if more else address

    def rows(self, first: Value, row_bytes: Value, there: Value, count: int) -> list[Value]:
        """Addresses of `count` rows; where there are fewer, the last one stands in for the rest."""
        builder, last = self.builder, self.builder.sub(there, self.number(1))
        addresses = []
        for r in range(count):
            number = builder.select(builder.icmp_signed("<", last, self.number(r)), last, self.number(r))
            addresses.append(builder.add(first, builder.mul(number, row_bytes)))
        return addresses

    def load(self, address: Value, kind: ir.Type) -> Value:
        """Whatever lies at an address; nothing is said of its alignment."""
        return simd._load(self.builder, address, kind)

    def load_float(self, address: Value) -> Value:
        """One float32."""
        return self.load(address, simd._F32)

    def store(self, value: Value, address: Value) -> None:
        """Write a value to an address."""
        self.builder.store(value, self.builder.inttoptr(address, value.type.as_pointer()), align=1)

    def splat(self, value: Value, lanes: int) -> Value:
        """The same in each lane."""
        return simd._splat(self.builder, value, lanes)

    def variable(self, start: Value) -> Value:
        """A place that holds a value and can be changed; it becomes a register."""
        place = cgutils.alloca_once(self.builder, start.type)
        self.builder.store(start, place)
        return place

    def loop(self, count: Value) -> Any:
        """A context whose `.index` runs from 0 to count - 1."""
        return cgutils.for_range(self.builder, count)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c, rounded once."""
        return simd._fma(self.builder, a, b, c)

    def prefetch(self, address: Value) -> None:
        """Ask for the cache line at an address; harmless wherever it points."""
        simd._prefetch(self.builder, address)


def void_intrinsic(count: int, emit: Callable[[Code, list[Value]], None]) -> Any:
    """A numba intrinsic without a result, of `count` int64 parameters, whose code `emit` writes."""

    def body(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        emit(Code(builder), list(values))
        return context.get_dummy_value()

    def typing(*_: Any) -> Any:
        return types.void(*[types.int64] * count), body

    # numba reads the parameter names of the typing function, so it needs one with the right number of them
    names = ", ".join(f"a{i}" for i in range(count))
    scope: dict[str, Any] = {"typing": typing}
    exec(f"def emitted(typingctx, {names}):\n    return typing()", scope)  # noqa: S102
    function = scope["emitted"]
    function.__module__ = __name__
    return intrinsic(function)
