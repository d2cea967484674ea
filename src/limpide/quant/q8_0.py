"""Q8_0: half-precision d, then 32 signed bytes; q·d."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, half


class Q8_0(Format):  # noqa: N801 - the format's own name
    """Eight bits, symmetric."""

    name = "Q8_0"
    block_size = 32
    block_bytes = 34

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """q·d."""
        values.copy_(blocks.view(torch.int8)[:, 2:]).mul_(half(blocks, 0))
