"""Q3_K: 32 bytes of third bits, 64 bytes of 2-bit numbers, 12 bytes with 16 six-bit scales, half-precision d."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, bits, half


class Q3_K(Format):  # noqa: N801 - the format's own name
    """Three bits, symmetric, in 16 groups of 16."""

    name = "Q3_K"
    block_size = 256
    block_bytes = 110

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·scale·(q - 4), where q's third bit is 4."""
        low = bits(blocks[:, 32:96].reshape(-1, 2, 32), 2)
        third = bits(blocks[:, :32], 1).view(-1, 2, 4, 32)
        values.view(-1, 2, 4, 32).copy_(low | (third << 2)).sub_(4)
        step = half(blocks, 108) * _scales(blocks[:, 96:108])
        values.view(-1, 16, 16).mul_(step[:, :, None])


def _scales(packed: Tensor) -> Tensor:
    """Sixteen signed scales: 4 low bits as nibbles of the first 8 bytes, 2 high bits in the last 4."""
    low = bits(packed[:, :8], 4).flatten(1)
    high = bits(packed[:, 8:], 2).flatten(1)
    return (low | (high << 4)).to(torch.int8) - 32
