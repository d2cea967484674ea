"""Matrices of stored blocks times activations, as torch tensors."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from limpide.kernels import library
from limpide.kernels.arguments import call
from limpide.kernels.buffers import Buffers, ByteRows
from limpide.kernels.library import kernel
from limpide.kernels.tiles import scratch_bytes

FORMATS = frozenset({"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "MXFP4"})
"""What the kernels can multiply with. Kept apart from rows.py, which imports numba."""

FEW = 8
"""Up to so many rows of activations, reading the matrix is what takes the time."""

Gate = Literal["silu", "gelu_tanh"]

_SPLIT_WORK = 1 << 16
"""Fewer numbers than this are prepared by one thread: a fork costs about two microseconds."""
SPLIT_PRODUCTS = 1 << 17
"""Fewer products than this are computed by one."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Stored blocks as a kernel sees them."""

    data: Tensor
    """uint8 [rows, bytes of a row], rows contiguous"""
    format_name: str
    columns: int
    address: int
    rows: int
    row_bytes: int

    @classmethod
    def of(cls, data: Tensor, format_name: str, columns: int) -> Matrix:
        """`data` must stay as it is and where it is."""
        return cls(data, format_name, columns, data.data_ptr(), data.shape[0], data.stride(0))


def supports(format_name: str, columns: int) -> bool:
    """Whether `multiply` takes a matrix of this format and width, on this machine."""
    return format_name in FORMATS and columns % 32 == 0 and library.available()


@cache
def float_bits(value: float) -> int:
    """A float32 as a kernel's argument."""
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


@dataclass(frozen=True, slots=True)
class Rounding:
    """Where rounded activations go, and how finely each row is rounded."""

    buffers: Buffers
    thresholds: Tensor | None = None
    """[rows] float32, see `fields.FINE`; None: finely"""


def round_plain(x: Tensor, how: Rounding | None = None) -> ByteRows:
    """Round x, [rows, columns] float32, columns a multiple of 32. Without `how` finely, into memory of its own."""
    return _round("plain", x, (0, 0), how)


def round_norm(x: Tensor, weight: Tensor, epsilon: float, how: Rounding | None = None) -> ByteRows:
    """Round x / sqrt(mean(x**2) + epsilon) * weight."""
    return _round("norm", x, (weight.data_ptr(), float_bits(epsilon)), how)


def round_gated(gate: Tensor, up: Tensor, kind: Gate, how: Rounding | None = None) -> ByteRows:
    """Round activation(gate) * up."""
    return _round(kind, gate, (up.data_ptr(), 4 * up.stride(0)), how)


def round_clamped(gate: Tensor, up: Tensor, alpha: float, limit: float, how: Rounding | None = None) -> ByteRows:
    """Round (clamp(up, ±limit) + 1) · g · sigmoid(alpha g) with g = min(gate, limit)."""
    return _round("clamped", gate, (up.data_ptr(), 4 * up.stride(0)), how, (float_bits(alpha), float_bits(limit)))


def _round(kind: str, x: Tensor, more: tuple[int, int], how: Rounding | None, last: tuple[int, ...] = ()) -> ByteRows:
    rows, columns = x.shape
    into = ByteRows.empty(rows, columns) if how is None else how.buffers.rows(rows, columns)
    thresholds = 0 if how is None or how.thresholds is None else how.thresholds.data_ptr()
    call(
        kernel("activations.round_rows", kind),
        [0, 0, rows, columns, *into.addresses, x.data_ptr(), 4 * x.stride(0), *more, into.padded, thresholds, *last],
        threads=1 if rows * columns < _SPLIT_WORK else None,
        scratch=4 * columns,
    )
    return into


def multiply(x: ByteRows, matrices: Sequence[Matrix], outs: Sequence[Tensor], *, add: bool = False) -> None:
    """x times the transpose of each matrix, written or added to float32 [rows, matrix rows] each.

    At most three matrices, all of one format and width. The result of a row does not depend on the other rows.
    """
    arguments = [0, 0, x.columns, *x.addresses, x.rows, len(matrices), add, x.padded]
    for matrix, out in zip(matrices, outs, strict=True):
        arguments += (matrix.address, matrix.rows, matrix.row_bytes, out.data_ptr(), 4 * out.stride(0))
    name = "linear.few_rows" if x.rows <= FEW else "linear.many_rows"
    work = x.rows * x.columns * sum(matrix.rows for matrix in matrices)
    call(
        kernel(name, matrices[0].format_name),
        arguments,
        threads=1 if work < SPLIT_PRODUCTS else None,
        scratch=scratch_bytes(x.columns),
    )


def put_biases(outs: Sequence[Tensor], biases: Sequence[Tensor], *, add: bool = False) -> None:
    """Each row of `outs` [rows, n] becomes the bias [n], or has it added, for products to be added to."""
    rows = outs[0].shape[0]
    arguments = [0, rows, len(outs)]
    for out, bias in zip(outs, biases, strict=True):
        arguments += (out.data_ptr(), 4 * out.stride(0), bias.data_ptr(), bias.shape[0])
    work = rows * sum(bias.shape[0] for bias in biases)
    threads = 1 if work < _SPLIT_WORK else None
    call(kernel("biases.repeat", "add" if add else "write"), arguments, threads=threads)


def multiply_dense(x: Tensor, weight: Tensor) -> Tensor:
    """x [rows, columns] times the transpose of a small float32 matrix [n, columns]; columns a multiple of 32.

    The result of a row does not depend on the other rows.
    """
    rows, columns = x.shape
    y = torch.empty(rows, weight.shape[0])
    call(
        kernel("dense.multiply"),
        [0, rows, columns, x.data_ptr(), 4 * x.stride(0), weight.data_ptr(), weight.shape[0], y.data_ptr()],
        threads=1 if rows * weight.numel() < SPLIT_PRODUCTS else None,
    )
    return y


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x / sqrt(mean(x**2) + epsilon) * weight; x [rows, columns], columns a multiple of 32, rows contiguous."""
    y = torch.empty_like(x)
    rows, columns = x.shape
    call(
        kernel("activations.norm_rows", "write"),
        [0, rows, columns, y.data_ptr(), x.data_ptr(), 4 * x.stride(0), weight.data_ptr(), float_bits(epsilon)],
        threads=1 if x.numel() < _SPLIT_WORK else None,
    )
    return y


def add_norm(x: Tensor, y: Tensor, weight: Tensor, epsilon: float) -> None:
    """x += y / sqrt(mean(y**2) + epsilon) * weight, in place; x [rows, columns] contiguous."""
    rows, columns = x.shape
    call(
        kernel("activations.norm_rows", "add"),
        [0, rows, columns, x.data_ptr(), y.data_ptr(), 4 * y.stride(0), weight.data_ptr(), float_bits(epsilon)],
        threads=1 if x.numel() < _SPLIT_WORK else None,
    )
