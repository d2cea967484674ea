"""IQ4_NL: half-precision d, then 32 nibbles that index a table of 16 unevenly spaced values."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.kernels.levels import IQ4_NL as LEVELS
from limpide.quant.base import Format, half


class IQ4_NL(Format):  # noqa: N801 - the format's own name
    """Four bits, not linear."""

    name = "IQ4_NL"
    block_size = 32
    block_bytes = 18

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·level[q]."""
        write_levels(blocks[:, 2:], LEVELS, values.view(-1, 2, 16))
        values.mul_(half(blocks, 0))


def write_levels(packed: Tensor, levels: tuple[int, ...], values: Tensor) -> None:
    """Look nibbles up in a table: uint8 [..., k] -> float32 [..., 2, k], low halves first."""
    table = torch.tensor(levels, dtype=torch.float32)
    both = torch.stack((table.repeat(16), table.repeat_interleave(16)), dim=1)  # [byte, half]
    pairs = both.index_select(0, packed.reshape(-1).int()).view(*packed.shape, 2)
    values.copy_(pairs.transpose(-1, -2))
