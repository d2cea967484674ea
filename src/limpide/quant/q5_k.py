"""Q5_K: as Q4_K, with 32 bytes of fifth bits between the scales and the nibbles."""

from __future__ import annotations

from torch import Tensor

from limpide.quant.base import Format, bits, half, write_nibbles
from limpide.quant.q4_k import six_bit_pairs


class Q5_K(Format):  # noqa: N801 - the format's own name
    """Five bits with minimum, in 8 groups of 32."""

    name = "Q5_K"
    block_size = 256
    block_bytes = 176

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·scale·q - dmin·min."""
        scales, minimums = six_bit_pairs(blocks[:, 4:16])
        write_nibbles(blocks[:, 48:].reshape(-1, 4, 32), values.view(-1, 4, 2, 32))
        step = half(blocks, 0) * scales
        minimum = half(blocks, 2) * minimums
        grouped = values.view(-1, 8, 32)
        grouped.add_(bits(blocks[:, 16:48], 1) << 4)
        grouped.mul_(step[:, :, None]).sub_(minimum[:, :, None])
