"""Q4_0: half-precision d, then 32 nibbles; (q - 8)·d."""

from __future__ import annotations

from torch import Tensor

from limpide.quant.base import Format, half, write_nibbles


class Q4_0(Format):  # noqa: N801 - the format's own name
    """Four bits, symmetric."""

    name = "Q4_0"
    block_size = 32
    block_bytes = 18

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """(q - 8)·d."""
        write_nibbles(blocks[:, 2:], values.view(-1, 2, 16))
        values.sub_(8).mul_(half(blocks, 0))
