"""Multiplying by a matrix that stays as it was stored."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.tensor import QuantTensor

_TILE_NUMBERS = 1 << 20
"""Numbers expanded at a time: 4 MiB, however large the matrix is."""


def multiply(x: Tensor, w: QuantTensor) -> Tensor:
    """x · wᵀ: float32 [m, cols] by stored [rows, cols] -> float32 [m, rows].

    The reference: expands a tile of rows at a time, never the whole matrix.
    """
    rows, cols = w.shape
    if x.ndim != 2 or x.shape[1] != cols:
        raise ValueError(f"x of shape {tuple(x.shape)} can't be multiplied by rows of {cols}")
    product = x.new_empty(x.shape[0], rows)
    tile = max(1, _TILE_NUMBERS // cols)
    for start in range(0, rows, tile):
        product[:, start : start + tile] = torch.mm(x, w.unpack(slice(start, start + tile)).T)
    return product
