"""Q6_K: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, half-precision d.

Each half of the 256 numbers takes 64 bytes of nibbles (the low ones are its first 64 numbers) and 32 bytes of pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, bits, half


class Q6_K(Format):  # noqa: N801 - the format's own name
    """Six bits, symmetric, in 16 groups of 16."""

    name = "Q6_K"
    block_size = 256
    block_bytes = 210

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·scale·(q - 32)."""
        low = bits(blocks[:, :128].reshape(-1, 2, 64), 4).view(-1, 2, 4, 32)
        high = bits(blocks[:, 128:192].reshape(-1, 2, 32), 2)
        values.view(-1, 2, 4, 32).copy_(low | (high << 4)).sub_(32)
        step = half(blocks, 208) * blocks.view(torch.int8)[:, 192:208]
        values.view(-1, 16, 16).mul_(step[:, :, None])
