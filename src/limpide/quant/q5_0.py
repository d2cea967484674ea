"""Q5_0: half-precision d, 4 bytes of fifth bits, then 32 nibbles; (q - 16)·d."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, half, write_nibbles


class Q5_0(Format):  # noqa: N801 - the format's own name
    """Five bits, symmetric."""

    name = "Q5_0"
    block_size = 32
    block_bytes = 22

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """(q - 16)·d."""
        write_nibbles(blocks[:, 6:], values.view(-1, 2, 16))
        values.add_(fifth_bits(blocks[:, 2:6])).sub_(16).mul_(half(blocks, 0))


def fifth_bits(packed: Tensor) -> Tensor:
    """Bit i of 32 belongs to number i: uint8 [n, 4] -> 0 or 16, uint8 [n, 32]."""
    shifts = torch.arange(8, dtype=torch.uint8)
    return (((packed[:, :, None] >> shifts) & 1) << 4).view(-1, 32)
