"""Q4_1: half-precision d and m, then 32 nibbles; q·d + m."""

from __future__ import annotations

from torch import Tensor

from limpide.quant.base import Format, half, write_nibbles


class Q4_1(Format):  # noqa: N801 - the format's own name
    """Four bits with a minimum."""

    name = "Q4_1"
    block_size = 32
    block_bytes = 20

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """q·d + m."""
        write_nibbles(blocks[:, 4:], values.view(-1, 2, 16))
        values.mul_(half(blocks, 0)).add_(half(blocks, 2))
