"""Q2_K: 16 bytes of 4-bit scales and minimums, 64 bytes of 2-bit numbers, half-precision d and dmin.

Each half of the 256 numbers takes 32 bytes, whose bit pairs, from the lowest up, are four runs of 32 numbers.
"""

from __future__ import annotations

from torch import Tensor

from limpide.quant.base import Format, bits, half


class Q2_K(Format):  # noqa: N801 - the format's own name
    """Two bits with minimum, in 16 groups of 16."""

    name = "Q2_K"
    block_size = 256
    block_bytes = 84

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·scale·q - dmin·min."""
        scales = blocks[:, :16]
        step = half(blocks, 80) * (scales & 15)
        minimum = half(blocks, 82) * (scales >> 4)
        values.view(-1, 2, 4, 32).copy_(bits(blocks[:, 16:80].reshape(-1, 2, 32), 2))
        values.view(-1, 16, 16).mul_(step[:, :, None]).sub_(minimum[:, :, None])
