"""F16: IEEE half precision."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.quant.base import Format, aligned


class F16(Format):
    """IEEE half precision."""

    name = "F16"
    block_size = 1
    block_bytes = 2

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """Widen; exact."""
        values.copy_(aligned(blocks, 2).view(torch.float16))
