"""Every stored format expands bit for bit as gguf-py expands it."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch

from limpide.quant import FORMATS, Format

QUANTISABLE = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4")


def reference(raw: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[name])


def assert_same_bits(ours: torch.Tensor, theirs: np.ndarray) -> None:
    """Equal as bit patterns, so the sign of zero counts; any NaN equals any other."""
    mine = ours.numpy()
    assert mine.shape == theirs.shape
    assert mine.dtype == theirs.dtype == np.float32
    both_nan = np.isnan(mine) & np.isnan(theirs)
    same = (mine.view(np.uint32) == theirs.view(np.uint32)) | both_nan
    assert same.all(), f"{(~same).sum()} of {same.size} differ, first {mine[~same][:4]} and {theirs[~same][:4]}"


@pytest.fixture(params=FORMATS.values(), ids=FORMATS.keys())
def stored(request: pytest.FixtureRequest) -> Format:
    return request.param


def test_sane_blocks(stored: Format) -> None:
    """Bytes at random, with scales like those of a real model."""
    rng = np.random.default_rng(7)
    blocks = rng.integers(0, 256, (3, 11, 64, stored.block_bytes), dtype=np.uint8)
    for at in HALVES.get(stored.name, ()):
        scales = rng.normal(0, 0.01, blocks.shape[:-1]).astype(np.float16)
        blocks[..., at : at + 2] = scales[..., None].view(np.uint8)
    raw = blocks.reshape(3, 11, -1)
    ours = stored.unpack(torch.from_numpy(raw))
    assert ours.shape == (3, 11, 64 * stored.block_size)
    assert_same_bits(ours, reference(raw, stored.name))


HALVES = {
    "F16": (0,),
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
}
"""Where half-precision scales sit in a block."""


@pytest.mark.parametrize("seed", range(3))
def test_any_bytes(stored: Format, seed: int) -> None:
    """Any bytes at all: infinite, subnormal and NaN scales among them. More numbers than one tile."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (9, 33000 // stored.block_size * stored.block_bytes), dtype=np.uint8)
    assert_same_bits(stored.unpack(torch.from_numpy(raw)), reference(raw, stored.name))


def test_every_byte_value_in_every_place(stored: Format) -> None:
    """Each byte of a block takes each of its 256 values once, on a quiet background."""
    blocks = np.full((stored.block_bytes, 256, stored.block_bytes), 0x21, dtype=np.uint8)
    for at in range(stored.block_bytes):
        blocks[at, :, at] = np.arange(256)
    raw = blocks.reshape(stored.block_bytes, -1)
    assert_same_bits(stored.unpack(torch.from_numpy(raw)), reference(raw, stored.name))


@pytest.mark.parametrize("name", QUANTISABLE)
def test_what_gguf_quantised(name: str) -> None:
    """Numbers that gguf-py stored come back as it reads them, and close to what they were."""
    numbers = np.random.default_rng(3).normal(0, 1, (5, 512)).astype(np.float32)
    raw = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType[name])
    raw = np.ascontiguousarray(raw).view(np.uint8)
    ours = FORMATS[name].unpack(torch.from_numpy(raw))
    assert_same_bits(ours, reference(raw, name))
    assert float(np.sqrt(np.mean((ours.numpy() - numbers) ** 2))) < 0.2


def test_block_sizes_are_ggufs(stored: Format) -> None:
    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[stored.name]] == (stored.block_size, stored.block_bytes)
