"""Multiplying by matrices that stay as they were stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from limpide.kernels import matmul
from limpide.quant.matrix import StoredMatrix
from limpide.quant.tensor import QuantTensor

MIN_ROWS = 16
"""BLAS adds up in another order for a few rows than for many. Padding them makes each row's result the same bits
whatever shares its batch."""
_TILE_NUMBERS = 1 << 20
"""Numbers expanded at a time: 4 MiB, however large the matrix is."""


def multiply(x: Tensor, w: StoredMatrix) -> Tensor:
    """x · wᵀ: float32 [m, cols] by stored [rows, cols] -> float32 [m, rows].

    Multiplies bytes straight from the blocks where a kernel knows the format, and like the reference elsewhere.
    """
    return multiply_all(x, (w,))[0]


def multiply_all(x: Tensor, weights: Sequence[StoredMatrix]) -> list[Tensor]:
    """The same activations by several matrices; they are rounded once."""
    for w in weights:
        _check(x, w)
    known = [w for w in weights if isinstance(w, QuantTensor) and matmul.supports(w.format.name, w.shape[1])]
    if x.requires_grad or len(known) < len(weights):
        return [multiply_reference(x, w) for w in weights]
    rounded = matmul.round_plain(x.contiguous())
    outs = [x.new_empty(x.shape[0], w.shape[0]) for w in known]
    for w, out in zip(known, outs, strict=True):
        matmul.multiply(rounded, [matmul.Matrix.of(w.data, w.format.name, w.shape[1])], [out])
    return outs


def multiply_reference(x: Tensor, w: StoredMatrix) -> Tensor:
    """What `multiply` approximates: expands a tile of rows at a time to float32, never the whole matrix."""
    _check(x, w)
    rows, cols = w.shape
    tile = max(1, _TILE_NUMBERS // cols)
    runs = range(0, rows, tile)
    if x.shape[0] < MIN_ROWS and not x.requires_grad:
        return multiply_reference(functional.pad(x, (0, 0, 0, MIN_ROWS - x.shape[0])), w)[: x.shape[0]]
    if len(runs) == 1 or (torch.is_grad_enabled() and x.requires_grad):
        return torch.cat([torch.mm(x, w.unpack(slice(start, start + tile)).T) for start in runs], dim=1)
    product = x.new_empty(x.shape[0], rows)
    for start in runs:
        product[:, start : start + tile] = torch.mm(x, w.unpack(slice(start, start + tile)).T)
    return product


def _check(x: Tensor, w: StoredMatrix) -> None:
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x of shape {tuple(x.shape)} can't be multiplied by rows of {w.shape[1]}")
