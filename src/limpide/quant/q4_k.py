"""Q4_K: half-precision d and dmin, 12 bytes with 8 six-bit scales and minimums, then 256 nibbles."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, half, write_nibbles


class Q4_K(Format):  # noqa: N801 - the format's own name
    """Four bits with minimum, in 8 groups of 32."""

    name = "Q4_K"
    block_size = 256
    block_bytes = 144

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·scale·q - dmin·min."""
        scales, minimums = six_bit_pairs(blocks[:, 4:16])
        write_nibbles(blocks[:, 16:].reshape(-1, 4, 32), values.view(-1, 4, 2, 32))
        step = half(blocks, 0) * scales
        minimum = half(blocks, 2) * minimums
        values.view(-1, 8, 32).mul_(step[:, :, None]).sub_(minimum[:, :, None])


def six_bit_pairs(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and minimums of the 8 groups: uint8 [n, 12] -> uint8 [n, 8] twice.

    Groups 0 to 3 have theirs whole in the low six bits of bytes 0-3 and 4-7. Groups 4 to 7 have four bits in a nibble
    of bytes 8-11 (low: scale, high: minimum) and two at the top of bytes 0-3 and 4-7.
    """
    first, second, third = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = torch.cat((first & 63, (third & 15) | ((first >> 6) << 4)), dim=1)
    minimums = torch.cat((second & 63, (third >> 4) | ((second >> 6) << 4)), dim=1)
    return scales, minimums
