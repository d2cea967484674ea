"""Vectors of eight lanes for kernels that numba compiles.

Numba has no vector type of its own. These intrinsics add two (8 int32, 8 float32), each one LLVM
instruction or a short sequence that the compiler maps to what the processor has. Addresses are plain int64. Only the
products of bytes and their helpers look at the instruction set, because LLVM does not find those by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from limpide.kernels.library import processor

_HOST = processor()[1]
HAS_VNNI = bool(_HOST.get("avx512vnni") and _HOST.get("avx512vl")) or bool(_HOST.get("avxvnni"))
HAS_VNNI512 = bool(_HOST.get("avx512vnni") and _HOST.get("avx512bw") and _HOST.get("avx512vl"))
HAS_AVX2 = bool(_HOST.get("avx2"))

_I32, _I64, _F32, _I8, _I16 = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.IntType(8), ir.IntType(16)
_F32X8, _I32X8 = ir.VectorType(_F32, 8), ir.VectorType(_I32, 8)
WIDE = 16 if HAS_VNNI512 else 8
"""Lanes of the widest vector of float32 that the processor has."""
_F32XN = ir.VectorType(_F32, WIDE)
_I16X16, _I8X32 = ir.VectorType(_I16, 16), ir.VectorType(_I8, 32)


class Vector(types.Type):
    """A numba type that lives in one vector register."""

    def __init__(self, name: str, llvm_type: ir.VectorType) -> None:
        super().__init__(name=name)
        self.llvm_type = llvm_type


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm_type)


f32x8 = Vector("f32x8", _F32X8)
i32x8 = Vector("i32x8", _I32X8)
f32xn = Vector(f"f32x{WIDE}", _F32XN) if WIDE != 8 else f32x8

_Emit = Callable[[ir.IRBuilder, list[ir.Value]], ir.Value | None]


def _op(result: Any, *arguments: Any) -> Callable[[_Emit], Any]:
    """An intrinsic with fixed types from a function that emits its LLVM instructions."""

    def decorate(emit: _Emit) -> Any:
        names = ", ".join(f"a{i}" for i in range(len(arguments)))

        def body(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            return emit(builder, list(values)) if result is not types.void else _none(context, builder, values, emit)

        def typing(*_: Any) -> Any:
            return result(*arguments), body

        # numba reads the parameter names of the typing function, so it needs one with the right number of them
        scope: dict[str, Any] = {"typing": typing}
        exec(f"def {emit.__name__}(typingctx, {names}):\n    return typing()", scope)  # noqa: S102
        function = scope[emit.__name__]
        function.__doc__ = emit.__doc__
        function.__module__ = __name__
        return intrinsic(function)

    return decorate


def _none(context: Any, builder: ir.IRBuilder, values: Any, emit: _Emit) -> Any:
    emit(builder, list(values))
    return context.get_dummy_value()


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, values: list[ir.Value]) -> ir.Value:
    function_type = ir.FunctionType(result, [v.type for v in values])
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    return builder.call(function, values)


def _load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type, align: int = 1) -> ir.Value:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def _shuffle(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, mask: list[int]) -> ir.Value:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(mask)), mask))


def _splat(builder: ir.IRBuilder, value: ir.Value, count: int) -> ir.Value:
    vector = ir.VectorType(value.type, count)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
    return _shuffle(builder, one, ir.Constant(vector, ir.Undefined), [0] * count)


# --- scalars -------------------------------------------------------------------------------------------------------


@_op(types.int32, types.int64)
def load_i32(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Four bytes."""
    return _load(builder, a[0], _I32)


@_op(types.int64, types.int64)
def load_i64(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Eight bytes."""
    return _load(builder, a[0], _I64)


@_op(types.float32, types.int64)
def load_f32(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """One float32."""
    return _load(builder, a[0], _F32)


@_op(types.float32, types.int64)
def load_f16(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """One float16, widened."""
    return builder.fpext(_load(builder, a[0], ir.HalfType()), _F32)


@_op(types.void, types.int64, types.float32)
def store_f32(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """One float32."""
    builder.store(a[1], builder.inttoptr(a[0], _F32.as_pointer()), align=1)


@_op(types.int64, types.int64, types.int64)
def fetch_add(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Add to the int64 at an address, atomically; the old value."""
    return builder.atomic_rmw("add", builder.inttoptr(a[0], _I64.as_pointer()), a[1], "seq_cst")


# --- eight float32 -------------------------------------------------------------------------------------------------


@_op(f32x8, types.int64)
def load_f32x8(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Eight float32."""
    return _load(builder, a[0], _F32X8)


@_op(f32x8, types.int64)
def load_f16x8(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Eight float16, widened."""
    return builder.fpext(_load(builder, a[0], ir.VectorType(ir.HalfType(), 8)), _F32X8)


@_op(types.void, types.int64, f32x8)
def store_f32x8(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Eight float32."""
    builder.store(a[1], builder.inttoptr(a[0], _F32X8.as_pointer()), align=1)


@_op(types.void, types.int64, f32x8)
def store_f16x8(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Eight float32 as float16."""
    half = ir.VectorType(ir.HalfType(), 8)
    builder.store(builder.fptrunc(a[1], half), builder.inttoptr(a[0], half.as_pointer()), align=1)


@_op(f32x8, types.float32)
def splat(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The same float32 in each lane."""
    return _splat(builder, a[0], 8)


@_op(f32xn, types.int64)
def load_wide(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """WIDE float32."""
    return _load(builder, a[0], _F32XN)


@_op(types.void, types.int64, f32xn)
def store_wide(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """WIDE float32."""
    builder.store(a[1], builder.inttoptr(a[0], _F32XN.as_pointer()), align=1)


@_op(f32xn, types.float32)
def splat_wide(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The same float32 in each of WIDE lanes."""
    return _splat(builder, a[0], WIDE)


@_op(f32xn, f32xn, f32xn, f32xn)
def fma_wide(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """a * b + c in WIDE lanes, rounded once."""
    return _fma(builder, *a)


def _fma(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    return _call(builder, f"llvm.fma.v{a.type.count}f32", a.type, [a, b, c])


@_op(f32x8, f32x8, f32x8, f32x8)
def fma(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """a * b + c, rounded once."""
    return _fma(builder, *a)


@_op(f32x8, f32x8, f32x8)
def mul(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """a * b."""
    return builder.fmul(a[0], a[1])


@_op(f32x8, f32x8, f32x8)
def add(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """a + b."""
    return builder.fadd(a[0], a[1])


@_op(f32x8, f32x8, f32x8)
def sub(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """a - b."""
    return builder.fsub(a[0], a[1])


@_op(f32x8, f32x8, f32x8)
def div(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """a / b."""
    return builder.fdiv(a[0], a[1])


@_op(f32x8, f32x8, f32x8)
def maximum(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The larger of each lane; a NaN on the left gives the right."""
    return builder.select(builder.fcmp_ordered(">", a[0], a[1]), a[0], a[1])


@_op(f32x8, f32x8, f32x8)
def minimum(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The smaller of each lane; a NaN on the left gives the right."""
    return builder.select(builder.fcmp_ordered("<", a[0], a[1]), a[0], a[1])


@_op(f32x8, f32x8)
def absolute(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Without the sign."""
    return _call(builder, "llvm.fabs.v8f32", _F32X8, a)


@_op(f32x8, f32x8)
def round_even(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """To the nearest whole number, halves to even."""
    return _call(builder, "llvm.nearbyint.v8f32", _F32X8, a)


@_op(f32x8, f32x8)
def power_of_two(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """2**n for whole n from -126 to 127, by writing the exponent."""
    exponent = builder.add(builder.fptosi(a[0], _I32X8), ir.Constant(_I32X8, [127] * 8))
    return builder.bitcast(builder.shl(exponent, ir.Constant(_I32X8, [23] * 8)), _F32X8)


@_op(types.float32, f32x8)
def lane_sum(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Sum of the lanes, always in the same order."""
    v = a[0]
    for half in (4, 2, 1):
        undefined = ir.Constant(v.type, ir.Undefined)
        low = _shuffle(builder, v, undefined, list(range(half)))
        high = _shuffle(builder, v, undefined, list(range(half, 2 * half)))
        v = builder.fadd(low, high)
    return builder.extract_element(v, ir.Constant(_I32, 0))


@_op(types.float32, f32x8)
def lane_max(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The largest lane."""
    v = a[0]
    for half in (4, 2, 1):
        undefined = ir.Constant(v.type, ir.Undefined)
        low = _shuffle(builder, v, undefined, list(range(half)))
        high = _shuffle(builder, v, undefined, list(range(half, 2 * half)))
        v = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(v, ir.Constant(_I32, 0))


# --- integers ------------------------------------------------------------------------------------------------------


@_op(f32x8, i32x8)
def to_f32(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Whole numbers as float32."""
    return builder.sitofp(a[0], _F32X8)


@_op(i32x8, f32x8)
def to_i32(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """float32 as int32, towards zero."""
    return builder.fptosi(a[0], _I32X8)


@_op(types.void, types.int64, i32x8)
def store_as_i8(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Eight int32, each within a byte, as eight bytes."""
    byte8 = ir.VectorType(_I8, 8)
    builder.store(builder.trunc(a[1], byte8), builder.inttoptr(a[0], byte8.as_pointer()), align=1)


def _even_odd(builder: ir.IRBuilder, v: ir.Value) -> tuple[ir.Value, ir.Value]:
    undefined, count = ir.Constant(v.type, ir.Undefined), v.type.count
    return (
        _shuffle(builder, v, undefined, list(range(0, count, 2))),
        _shuffle(builder, v, undefined, list(range(1, count, 2))),
    )


def _pairs_u8s8(builder: ir.IRBuilder, u: ir.Value, s: ir.Value) -> ir.Value:
    """Sums of neighbouring products of unsigned and signed bytes: 16 int16. The caller knows that none overflows."""
    if HAS_AVX2:
        return _call(builder, "llvm.x86.avx2.pmadd.ub.sw", _I16X16, [u, s])
    wide = ir.VectorType(_I16, 32)
    even, odd = _even_odd(builder, builder.mul(builder.zext(u, wide), builder.sext(s, wide)))
    return builder.add(even, odd)


def _pairs_i16(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """Sums of neighbouring int16: 8 int32."""
    if HAS_AVX2:
        return _call(builder, "llvm.x86.avx2.pmadd.wd", _I32X8, [v, ir.Constant(_I16X16, [1] * 16)])
    even, odd = _even_odd(builder, builder.sext(v, ir.VectorType(_I32, 16)))
    return builder.add(even, odd)


def _dot_u8s8(builder: ir.IRBuilder, total: ir.Value, u: ir.Value, s: ir.Value) -> ir.Value:
    """Add the dot product of each four unsigned and signed bytes; without VNNI exact for u <= 128."""
    if HAS_VNNI:
        # LLVM 22 changed the operands from int32 to byte vectors
        bytes_ = [u, s] if llvm.llvm_version_info[0] >= 22 else [builder.bitcast(v, total.type) for v in (u, s)]
        return _call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * total.type.count}", total.type, [total, *bytes_])
    return builder.add(total, _pairs_i16(builder, _pairs_u8s8(builder, u, s)))


def _abs_i8(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """Absolute value of each signed byte; -128 becomes 128 as an unsigned one."""
    negative = builder.icmp_signed("<", v, ir.Constant(_I8X32, [0] * 32))
    return builder.select(negative, builder.neg(v), v)


def _copy_sign(builder: ir.IRBuilder, value: ir.Value, sign: ir.Value) -> ir.Value:
    """The first operand's bytes, negated where the second's are negative, zero where they are zero."""
    if HAS_AVX2:
        return _call(builder, "llvm.x86.avx2.psign.b", _I8X32, [value, sign])
    zero = ir.Constant(_I8X32, [0] * 32)
    negated = builder.select(builder.icmp_signed("<", sign, zero), builder.neg(value), value)
    return builder.select(builder.icmp_signed("==", sign, zero), zero, negated)


def _dot(builder: ir.IRBuilder, total: ir.Value, w: ir.Value, x: ir.Value, *, signed: bool) -> ir.Value:
    """Add the dot product of each four bytes of w and x. x is signed; where w is too, its sign is moved to x."""
    if signed:
        w, x = _abs_i8(builder, w), _copy_sign(builder, x, w)
    return _dot_u8s8(builder, total, w, x)


def _twice(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """16 bytes as 32: the same ones again."""
    return _shuffle(builder, v, v, [*range(16), *range(16)])


def _look_up(builder: ir.IRBuilder, table: list[int], v: ir.Value) -> ir.Value:
    """Each of 32 bytes, all from 0 to 15, replaced by that entry of the table."""
    if HAS_AVX2:
        return _call(builder, "llvm.x86.avx2.pshuf.b", _I8X32, [ir.Constant(_I8X32, [*table, *table]), v])
    found = ir.Constant(_I8X32, [table[0]] * 32)
    for index, entry in enumerate(table[1:], 1):
        here = builder.icmp_signed("==", v, ir.Constant(_I8X32, [index] * 32))
        found = builder.select(here, ir.Constant(_I8X32, [entry] * 32), found)
    return found


def _unpacked(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, width: int) -> tuple[ir.Value, ir.Value]:
    """Runs of `width` of eight lanes alternately from a and b: those of each half's first part, of its second."""
    low: list[int] = []
    high: list[int] = []
    for start in (0, 4):
        for run in range(0, 2, width):
            low += [start + run + i for i in range(width)] + [8 + start + run + i for i in range(width)]
            high += [start + 2 + run + i for i in range(width)] + [10 + start + run + i for i in range(width)]
    return _shuffle(builder, a, b, low), _shuffle(builder, a, b, high)


def _tile_sums(builder: ir.IRBuilder, v: list[ir.Value]) -> ir.Value:
    """Four vectors, each with four sums of row i and of row i + 4: the rows' totals in the order of the rows."""
    first, second = (builder.add(*_unpacked(builder, a, b, 1)) for a, b in ((v[0], v[1]), (v[2], v[3])))
    return builder.add(*_unpacked(builder, first, second, 2))


def _transposed(builder: ir.IRBuilder, v: list[ir.Value]) -> list[ir.Value]:
    """Four vectors with 16 bytes of row i and of row i + 4: four vectors with 4 bytes of each of the eight rows."""
    a, b, c, d = (builder.bitcast(each, _I32X8) for each in v)
    first, second = _unpacked(builder, a, b, 1), _unpacked(builder, c, d, 1)
    return [quad for x, y in zip(first, second, strict=True) for quad in _unpacked(builder, x, y, 2)]


@_op(types.void, types.int64, types.int64, *[f32x8] * 8)
def store_columns(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Eight vectors as the columns of a matrix: (address, bytes between its rows, columns)."""
    address, stride, *v = a
    pairs = [_unpacked(builder, v[i], v[i + 1], 1) for i in (0, 2, 4, 6)]
    left, right = (
        [part for x, y in zip(pairs[q], pairs[q + 1], strict=True) for part in _unpacked(builder, x, y, 2)]
        for q in (0, 2)
    )  # each: four columns' rows i, and i + 4 in the upper half
    for half in (0, 4):
        mask = [half + i for i in range(4)] + [8 + half + i for i in range(4)]
        for low, high in zip(left, right, strict=True):
            builder.store(_shuffle(builder, low, high, mask), builder.inttoptr(address, _F32X8.as_pointer()), align=1)
            address = builder.add(address, stride)


def _prefetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    """Into the second-level cache: asking for the first one was measured to be slower."""
    pointer = builder.inttoptr(address, _I8.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [pointer, ir.Constant(_I32, 0), ir.Constant(_I32, 2), ir.Constant(_I32, 1)])


@_op(types.void, types.int64)
def prefetch(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Ask for the cache line at an address."""
    _prefetch(builder, a[0])


def _pin(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The same value, opaque to the optimizer, which would otherwise reorder its chain of sums and spill registers."""

    if not HAS_AVX2:
        return value
    constraint = "=v,0" if HAS_VNNI512 else "=x,0"  # v: all 32 registers
    return builder.asm(ir.FunctionType(value.type, [value.type]), "", constraint, [value], side_effect=True)


@_op(types.int64, types.int64, types.int64)
def smaller(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The smaller of two integers. Python's min() would bring numba's error handling into the kernel."""
    return builder.select(builder.icmp_signed("<", a[0], a[1]), a[0], a[1])


@_op(types.int64, types.int64, types.int64)
def larger(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The larger of two integers."""
    return builder.select(builder.icmp_signed(">", a[0], a[1]), a[0], a[1])


@_op(types.float32, types.float32)
def sqrt(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Square root."""
    return _call(builder, "llvm.sqrt.f32", _F32, a)


@_op(f32x8, f32x8, types.int64, types.int64, types.float32)
def keep_lanes(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The vector, with `other` in all lanes before `begin` and from `end` on: (vector, begin, end, other)."""
    lanes = ir.Constant(_I32X8, list(range(8)))
    begin, end = (_splat(builder, builder.trunc(v, _I32), 8) for v in a[1:3])
    inside = builder.and_(builder.icmp_signed(">=", lanes, begin), builder.icmp_signed("<", lanes, end))
    return builder.select(inside, a[0], _splat(builder, a[3], 8))


# --- threads -------------------------------------------------------------------------------------------------------


@_op(types.int64, types.int64)
def atomic_load(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """The int64 at an address, as all threads see it."""
    return builder.load_atomic(builder.inttoptr(a[0], _I64.as_pointer()), "seq_cst", 8)


@_op(types.void, types.int64, types.int64)
def atomic_store(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Write an int64 for all threads to see."""
    builder.store_atomic(a[1], builder.inttoptr(a[0], _I64.as_pointer()), "seq_cst", 8)


@_op(types.boolean, types.int64, types.int64, types.int64)
def exchange_if(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Write an int64 if the one there is as expected: (address, expected, new) -> whether it was."""
    pair = builder.cmpxchg(builder.inttoptr(a[0], _I64.as_pointer()), a[1], a[2], "seq_cst", "seq_cst")
    return builder.extract_value(pair, 1)


@_op(types.int64, types.int64, types.int64)
def fetch_and(builder: ir.IRBuilder, a: list[ir.Value]) -> ir.Value:
    """Keep the given bits of the int64 at an address, atomically; the old value."""
    return builder.atomic_rmw("and", builder.inttoptr(a[0], _I64.as_pointer()), a[1], "seq_cst")


@_op(types.void, types.int64, types.int64)
def call_one(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Call the C function at an address with one int64."""
    function = ir.FunctionType(ir.VoidType(), [_I64])
    builder.call(builder.inttoptr(a[0], function.as_pointer()), [a[1]])


@_op(types.void, types.int64, types.int64, types.int64)
def call_two(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Call the C function at an address with two int64."""
    function = ir.FunctionType(ir.VoidType(), [_I64, _I64])
    builder.call(builder.inttoptr(a[0], function.as_pointer()), a[1:])


@_op(types.void, types.int64)
def pause(builder: ir.IRBuilder, a: list[ir.Value]) -> None:
    """Tell the processor that this is a loop that waits. The operand means nothing."""
    if HAS_AVX2:
        _call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
