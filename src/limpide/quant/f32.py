"""F32: IEEE single precision."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, aligned


class F32(Format):
    """IEEE single precision."""

    name = "F32"
    block_size = 1
    block_bytes = 4

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """Copy."""
        values.copy_(aligned(blocks, 4).view(torch.float32))
