"""Q5_1: half-precision d and m, 4 bytes of fifth bits, then 32 nibbles; q·d + m."""

from __future__ import annotations

from torch import Tensor

from limpide.quant.base import Format, half, write_nibbles
from limpide.quant.q5_0 import fifth_bits


class Q5_1(Format):  # noqa: N801 - the format's own name
    """Five bits with a minimum."""

    name = "Q5_1"
    block_size = 32
    block_bytes = 24

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """q·d + m."""
        write_nibbles(blocks[:, 8:], values.view(-1, 2, 16))
        values.add_(fifth_bits(blocks[:, 4:8])).mul_(half(blocks, 0)).add_(half(blocks, 2))
