"""Matrices of stored blocks times activations, as torch tensors."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from limpide.kernels.arguments import call
from limpide.kernels.library import kernel
from limpide.kernels.tiles import MANY_STEP, scratch_bytes

FORMATS = frozenset({"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"})
"""What the kernels can multiply with. Kept apart from rows.py, which imports numba."""

FEW = 8
"""Up to so many rows of activations, reading the matrix is what takes the time."""

Gate = Literal["silu", "gelu_tanh"]

_SPLIT_WORK = 1 << 16
"""Fewer numbers than this are prepared by one thread: a fork costs about two microseconds."""


@dataclass(frozen=True, slots=True)
class ByteRows:
    """Activations rounded to bytes. Shared by all matrices that the same activations are multiplied with."""

    q: Tensor
    """[2, rows padded to a multiple of 4, columns] int8: the values, and what rounding lost where that is much"""
    scales: Tensor
    """[2, padded rows, columns / 32] float32; a second scale of zero says that nothing was kept"""
    sums: Tensor
    """[2, padded rows, columns / 16] float32: sums of the rounded values, times their scale"""
    rows: int


def supports(format_name: str, columns: int) -> bool:
    """Whether `multiply` takes a matrix of this format and width."""
    return format_name in FORMATS and columns % 32 == 0


def float_bits(value: float) -> int:
    """A float32 as a kernel's argument."""
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


def round_plain(x: Tensor) -> ByteRows:
    """Round x, [rows, columns] float32, columns a multiple of 32."""
    return _round("plain", x, (0, 0))


def round_norm(x: Tensor, weight: Tensor, epsilon: float) -> ByteRows:
    """Round x / sqrt(mean(x**2) + epsilon) * weight."""
    return _round("norm", x, (weight.data_ptr(), float_bits(epsilon)))


def round_gated(gate: Tensor, up: Tensor, kind: Gate) -> ByteRows:
    """Round activation(gate) * up."""
    return _round(kind, gate, (up.data_ptr(), 4 * up.stride(0)))


def _round(kind: str, x: Tensor, more: tuple[int, int]) -> ByteRows:
    rows, columns = x.shape
    padded = (rows + MANY_STEP - 1) // MANY_STEP * MANY_STEP
    # rows of padding hold whatever was in memory: what is computed from them is never stored
    q = torch.empty((2, padded, columns), dtype=torch.int8)
    scales = torch.empty((2, padded, columns // 32))
    sums = torch.empty((2, padded, columns // 16))
    addresses = (q.data_ptr(), scales.data_ptr(), sums.data_ptr())
    call(
        kernel("activations.round_rows", kind),
        [0, rows, columns, *addresses, x.data_ptr(), 4 * x.stride(0), *more, padded],
        threads=1 if x.numel() < _SPLIT_WORK else None,
    )
    return ByteRows(q, scales, sums, rows)


def multiply(x: ByteRows, weights: Sequence[Tensor], format_name: str, *, add_to: Tensor | None = None) -> list[Tensor]:
    """x times the transpose of each matrix: float32 [rows, matrix rows] each.

    `weights`: at most three, uint8 [matrix rows, bytes of a row], all of one format and width. With `add_to` the only
    product is added to it, in place. The result of a row does not depend on the other rows.
    """
    columns = x.q.shape[2]
    outs = [torch.empty((x.rows, w.shape[0])) for w in weights] if add_to is None else [add_to]
    arguments = [
        0,
        0,
        columns,
        x.q.data_ptr(),
        x.scales.data_ptr(),
        x.sums.data_ptr(),
        x.rows,
        len(weights),
        add_to is not None,
        x.q.shape[1],
    ]
    for weight, out in zip(weights, outs, strict=True):
        arguments += (weight.data_ptr(), weight.shape[0], weight.stride(0), out.data_ptr(), 4 * out.stride(0))
    name = "linear.few_rows" if x.rows <= FEW else "linear.many_rows"
    call(kernel(name, format_name), arguments, scratch=scratch_bytes(columns))
    return outs


def add_norm(x: Tensor, y: Tensor, weight: Tensor, epsilon: float) -> None:
    """x += y / sqrt(mean(y**2) + epsilon) * weight, in place; x [rows, columns] contiguous."""
    rows, columns = x.shape
    call(
        kernel("activations.add_norm"),
        [0, rows, columns, x.data_ptr(), y.data_ptr(), 4 * y.stride(0), weight.data_ptr(), float_bits(epsilon)],
        threads=1 if x.numel() < _SPLIT_WORK else None,
    )
