"""Matrices that stay as stored: which bytes are read, and the reference product."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor

from limpide.core.errors import UnsupportedFormat
from limpide.formats import TensorInfo, read_gguf
from limpide.formats.storage import STORAGE
from limpide.quant import FORMATS, Format, QuantTensor, get_format, multiply_reference


def make(name: str, rows: int, cols: int, seed: int = 0) -> QuantTensor:
    stored = get_format(name)
    numbers = np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)
    raw = np.ascontiguousarray(gguf.quants.quantize(numbers, gguf.GGMLQuantizationType[name])).view(np.uint8)
    return QuantTensor(stored, (rows, cols), torch.from_numpy(raw).view(rows, -1))


@pytest.mark.parametrize("name", FORMATS)
def test_registry(name: str) -> None:
    stored = get_format(name)
    assert stored.name == name
    assert (stored.block_size, stored.block_bytes) == STORAGE[name]
    assert stored.row_bytes(512) == 512 // stored.block_size * stored.block_bytes


def test_unknown_format() -> None:
    with pytest.raises(UnsupportedFormat, match="IQ1_S can't be computed with") as refusal:
        get_format("IQ1_S")
    assert "Q4_K" in str(refusal.value)
    with pytest.raises(UnsupportedFormat, match=r"tensor 'blk\.3\.w': .*IQ1_S"):
        QuantTensor.from_raw(TensorInfo("blk.3.w", (2, 256), "IQ1_S", 100), np.zeros(100, dtype=np.uint8))


@pytest.mark.parametrize("stored", FORMATS.values(), ids=FORMATS.keys())
def test_unpack_checks_its_input(stored: Format) -> None:
    assert stored.unpack(torch.zeros(3, 0, dtype=torch.uint8)).shape == (3, 0)
    assert stored.unpack(torch.zeros(0, stored.block_bytes, dtype=torch.uint8)).shape == (0, stored.block_size)
    with pytest.raises(ValueError, match=stored.name):
        stored.unpack(torch.zeros(stored.block_bytes))
    with pytest.raises(ValueError, match=stored.name):
        stored.unpack(torch.zeros(stored.block_bytes + 1, dtype=torch.uint8))


@pytest.mark.parametrize("stored", FORMATS.values(), ids=FORMATS.keys())
def test_at_any_address_and_stride(stored: Format) -> None:
    """A mapped tensor may start at any byte, and a column of blocks is no contiguous run."""
    plain = torch.randint(0, 256, (4, 6 * stored.block_bytes), dtype=torch.uint8)
    expected = stored.unpack(plain).view(torch.int32)
    for shift in range(1, 5):
        moved = torch.zeros(plain.numel() + shift, dtype=torch.uint8)[shift:].view_as(plain).copy_(plain)
        assert torch.equal(stored.unpack(moved).view(torch.int32), expected)
    before = plain.clone()
    middle = plain[:, 2 * stored.block_bytes : 4 * stored.block_bytes]
    columns = slice(2 * stored.block_size, 4 * stored.block_size)
    assert torch.equal(stored.unpack(middle).view(torch.int32), expected[:, columns])
    assert torch.equal(plain, before)


def test_from_raw_does_not_copy(honest_gguf: Path) -> None:
    with read_gguf(honest_gguf) as checkpoint:
        for name, shape in (("blocks", (4, 64)), ("matrix", (3, 32)), ("vector", (1, 7)), ("experts", (6, 4))):
            raw = checkpoint.raw(name)
            tensor = QuantTensor.from_raw(checkpoint.tensors[name], raw)
            assert tensor.shape == shape
            assert tensor.data.data_ptr() == raw.ctypes.data
            assert tensor.nbytes == raw.nbytes == tensor.row_bytes * shape[0]
            assert tensor.unpack().shape == shape


@pytest.fixture
def honest_gguf(tmp_path: Path) -> Path:
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "llama")
    rng = np.random.default_rng(0)
    writer.add_tensor("matrix", rng.normal(size=(3, 32)).astype(np.float32))
    writer.add_tensor("vector", rng.normal(size=7).astype(np.float16))
    writer.add_tensor("experts", rng.normal(size=(2, 3, 4)).astype(np.float32))
    blocks = gguf.quants.quantize(rng.normal(size=(4, 64)).astype(np.float32), gguf.GGMLQuantizationType.Q4_1)
    writer.add_tensor("blocks", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "w.gguf"


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="contiguous uint8"):
        QuantTensor(get_format("Q8_0"), (2, 64), torch.zeros(2, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="multiple of 32"):
        QuantTensor(get_format("Q8_0"), (2, 63), torch.zeros(2, 68, dtype=torch.uint8))


def test_some_rows() -> None:
    w = make("Q4_1", 50, 96)
    whole = w.unpack()
    assert torch.equal(w.unpack(slice(7, 19)), whole[7:19])
    assert torch.equal(w.rows(slice(7, 19)).unpack(), whole[7:19])
    ids = torch.tensor([[3, 49, 3], [0, 1, 2]])
    assert torch.equal(w.unpack(ids), whole[ids])
    assert w.unpack(torch.empty(0, dtype=torch.int64)).shape == (0, 96)
    with pytest.raises(IndexError):
        w.unpack(torch.tensor([50]))


class Counting(Format):
    """F32 that remembers how much it expanded at a time."""

    name = "F32"
    block_size = 1
    block_bytes = 4

    def __init__(self) -> None:
        self.expanded: list[int] = []

    def unpack(self, raw: Tensor) -> Tensor:
        self.expanded.append(raw.numel() // 4)
        return super().unpack(raw)

    def expand(self, blocks: Tensor, values: Tensor) -> None:
        values.copy_(blocks.contiguous().view(torch.float32))


def test_only_the_asked_rows_are_expanded() -> None:
    stored = Counting()
    w = QuantTensor(stored, (1000, 8), torch.zeros(1000, 32, dtype=torch.uint8))
    w.unpack(torch.tensor([5, 999]))
    w.unpack(slice(3, 6))
    assert stored.expanded == [16, 24]


def test_reference_expands_tiles_only() -> None:
    stored = Counting()
    numbers = torch.randn(700, 4096)
    w = QuantTensor(stored, (700, 4096), numbers.view(torch.uint8))
    x = torch.randn(3, 4096)
    torch.testing.assert_close(multiply_reference(x, w), x @ numbers.T, rtol=1e-5, atol=1e-4)
    assert max(stored.expanded) <= 1 << 20
    assert sum(stored.expanded) == numbers.numel()


@pytest.mark.parametrize("name", ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"])
@pytest.mark.parametrize("m", [0, 1, 5])
def test_reference(name: str, m: int) -> None:
    w = make(name, 33, 96)
    x = torch.randn(m, 96, generator=torch.Generator().manual_seed(1))
    product = multiply_reference(x, w)
    assert product.shape == (m, 33)
    torch.testing.assert_close(product, x @ w.unpack().T, rtol=1e-5, atol=1e-4)


def test_reference_checks_shapes() -> None:
    with pytest.raises(ValueError, match="rows of 96"):
        multiply_reference(torch.zeros(1, 95), make("Q8_0", 2, 96))
