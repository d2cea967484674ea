"""MXFP4: one byte with a power of two (E8M0), then 32 nibbles, each a 4-bit float (E2M1).

Source: the OCP Microscaling Formats specification 1.0; ggml's order of nibbles, low halves first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limpide.kernels.levels import TWICE_E2M1
from limpide.quant.base import Format
from limpide.quant.iq4_nl import write_levels


class MXFP4(Format):
    """Four-bit floats with a shared power of two."""

    name = "MXFP4"
    block_size = 32
    block_bytes = 17

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """2^(e - 128) · twice the float."""
        write_levels(blocks[:, 1:], TWICE_E2M1, values.view(-1, 2, 16))
        values.mul_(half_power(blocks[:, :1]))


def half_power(exponent: Tensor) -> Tensor:
    """2^(e - 128): uint8 -> float32. For e of 0 and 1 that is a subnormal number. 255, by the standard no number, is
    one more power as in ggml.
    """
    e = exponent.int()
    return torch.where(e < 2, 0x00200000 << e.clamp(max=1), (e - 1) << 23).view(torch.float32)
