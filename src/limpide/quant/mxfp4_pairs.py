"""MXFP4 as safetensors files hold it: exponents apart from the nibbles, and neighbours share a byte.

Source: the OCP Microscaling Formats specification 1.0, and the checkpoints of gpt-oss. GGUF's order is in `mxfp4`; the
numbers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.core.errors import CorruptModelFile
from limpide.kernels.levels import TWICE_E2M1
from limpide.quant.mxfp4 import half_power
from limpide.quant.parted import Infos, PartedFormat, Parts, require_part, span

_GROUP = 32
"""Numbers that share an exponent."""


@dataclass(frozen=True)
class MXFP4Pairs(PartedFormat):
    """Four-bit floats uint8 [..., out, groups, 16], even ones in the low halves; exponents uint8 [..., out, groups]."""

    name = "MXFP4"
    whole = "_blocks"  # not the name without it: unpacked checkpoints store that one turned over, [in, out]
    sign = "_blocks"
    required = ("_blocks", "_scales")

    def shape(self, infos: Infos) -> tuple[int, ...]:
        """(..., out, in): as many numbers in a row as its groups have."""
        blocks, scales = infos["_blocks"], infos["_scales"]
        require_part(blocks, ("U8",))
        if len(blocks.shape) < 3 or blocks.shape[-1] != _GROUP // 2:
            raise CorruptModelFile(
                f"tensor {blocks.name!r} is {list(blocks.shape)}", expected="[…, rows, groups, 16] of bytes"
            )
        require_part(scales, ("U8",), blocks.shape[:-1])
        return (*blocks.shape[:-2], blocks.shape[-2] * _GROUP)

    def prepare(self, infos: Infos, raw: Mapping[str, Tensor]) -> Parts:
        """Both as bytes, [rows, groups · 16] and [rows, groups]."""
        groups = infos["_scales"].shape[-1]
        return {"_blocks": raw["_blocks"].view(-1, groups * _GROUP // 2), "_scales": raw["_scales"].view(-1, groups)}

    def expand(self, parts: Parts, rows: range) -> Tensor:
        """2^(e - 127) · float."""
        blocks, exponents = parts["_blocks"][span(rows)], parts["_scales"][span(rows)]
        values = _PAIRS.index_select(0, blocks.reshape(-1).int()).view(*exponents.shape, _GROUP)
        return values.mul_(half_power(exponents)[..., None]).flatten(1)


def _pairs() -> Tensor:
    table = torch.tensor(TWICE_E2M1, dtype=torch.float32)
    return torch.stack((table.repeat(16), table.repeat_interleave(16)), dim=1)


_PAIRS = _pairs()
"""The two numbers of every byte, float32 [256, 2]."""
