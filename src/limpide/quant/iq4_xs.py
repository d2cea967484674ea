"""IQ4_XS: half-precision d, 2 + 4 bytes with 8 six-bit scales, then 256 nibbles that index IQ4_NL's table."""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.kernels.levels import IQ4_NL
from limpide.quant.base import Format, bits, half
from limpide.quant.iq4_nl import write_levels


class IQ4_XS(Format):  # noqa: N801 - the format's own name
    """Four bits, not linear, in 8 groups of 32."""

    name = "IQ4_XS"
    block_size = 256
    block_bytes = 136

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """d·(scale - 32)·level[q]."""
        write_levels(blocks[:, 8:].reshape(-1, 8, 16), IQ4_NL, values.view(-1, 8, 2, 16))
        step = half(blocks, 0) * _scales(blocks[:, 2:4], blocks[:, 4:8])
        values.view(-1, 8, 32).mul_(step[:, :, None])


def _scales(high: Tensor, low: Tensor) -> Tensor:
    """Eight signed scales: two high bits each, lowest first, and four low bits each, low nibble first."""
    top = bits(high, 2).transpose(1, 2).flatten(1)
    bottom = bits(low, 4).transpose(1, 2).flatten(1)
    return (bottom | (top << 4)).to(torch.int8) - 32
