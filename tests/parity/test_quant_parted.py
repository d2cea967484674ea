"""Matrices in several tensors against transformers' own conversions, bit for bit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from limpide.formats import TensorInfo
from limpide.quant import PartedFormat, PartedMatrix
from limpide.quant.fp8 import FP8
from limpide.quant.mxfp4_pairs import MXFP4Pairs


def matrix(stored: PartedFormat, parts: dict[str, tuple[str, Tensor]]) -> PartedMatrix:
    infos = {part: TensorInfo(part, tuple(t.shape), name, t.nbytes) for part, (name, t) in parts.items()}
    return PartedMatrix.from_raw(stored, infos, {p: t.reshape(-1).view(torch.uint8) for p, (_, t) in parts.items()})


def test_mxfp4() -> None:
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 256, (3, 64, 4, 16), dtype=torch.uint8, generator=generator)
    scales = torch.randint(90, 160, (3, 64, 4), dtype=torch.uint8, generator=generator)
    ours = matrix(MXFP4Pairs(), {"_blocks": ("U8", blocks), "_scales": ("U8", scales)}).unpack().view(3, 64, 128)
    theirs = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    assert torch.equal(ours, theirs.transpose(1, 2))


@pytest.mark.parametrize("block", [(128, 128), (32, 64), None])
def test_fp8(block: tuple[int, int] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = (torch.randn(256, 384, generator=generator) * 50).to(torch.float8_e4m3fn)
    down, across = block or weight.shape
    scales = torch.rand(256 // down, 384 // across, generator=generator)
    dequantiser: Any = Fp8Dequantize(SimpleNamespace())
    theirs = dequantiser.convert({"weight": weight, "weight_scale_inv": scales})["weight"]
    stored = scales if block else scales.reshape(())
    ours = matrix(FP8(block), {".weight": ("F8_E4M3", weight), ".weight_scale_inv": ("F32", stored)}).unpack()
    assert torch.equal(ours, theirs)
