"""BF16: the upper half of IEEE single precision."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, aligned


class BF16(Format):
    """The upper half of IEEE single precision."""

    name = "BF16"
    block_size = 1
    block_bytes = 2

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """Widen; exact."""
        values.copy_(aligned(blocks, 2).view(torch.bfloat16))
