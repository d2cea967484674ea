"""Matrices that files keep in several tensors, against sums written out number by number."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from limpide.core.errors import CorruptModelFile
from limpide.formats import TensorInfo
from limpide.quant import PartedFormat, PartedMatrix, multiply, multiply_reference
from limpide.quant.awq import AWQ
from limpide.quant.fp8 import FP8
from limpide.quant.gptq import GPTQ
from limpide.quant.mxfp4_pairs import MXFP4Pairs

DTYPES = {"uint8": "U8", "int32": "I32", "float16": "F16", "float32": "F32"}


@dataclass(frozen=True)
class Case:
    """Parts made at random, and the matrix that they stand for."""

    stored: PartedFormat
    parts: dict[str, np.ndarray]
    expected: np.ndarray
    formats: dict[str, str]

    def infos(self) -> dict[str, TensorInfo]:
        return {
            part: TensorInfo(f"w{part}", values.shape, self.formats.get(part, DTYPES[values.dtype.name]), values.nbytes)
            for part, values in self.parts.items()
        }

    def matrix(self, shift: int = 0) -> PartedMatrix:
        """The matrix over bytes that start `shift` bytes off any alignment."""
        raw = {}
        for part, values in self.parts.items():
            whole = np.frombuffer(bytes(shift) + values.tobytes(), np.uint8).copy()
            raw[part] = torch.from_numpy(whole)[shift:]
        return PartedMatrix.from_raw(self.stored, self.infos(), raw)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def e4m3(byte: int) -> float:
    """Sign, four bits of exponent (bias 7), three of mantissa."""
    sign, exponent, mantissa = -1 if byte >> 7 else 1, byte >> 3 & 15, byte & 7
    return sign * (mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7))


def fp8(block: tuple[int, int] | None = (16, 32), rows: int = 40, cols: int = 72) -> Case:
    rng = random()
    numbers = rng.integers(0, 256, (rows, cols)).astype(np.uint8)
    numbers[numbers & 127 == 127] = 8  # no number
    down, across = block or (rows, cols)
    grid = rng.normal(size=(-(-rows // down), -(-cols // across))).astype(np.float32)
    expected = np.empty((rows, cols), np.float32)
    for r in range(rows):
        for c in range(cols):
            expected[r, c] = np.float32(e4m3(int(numbers[r, c]))) * grid[r // down, c // across]
    scales = grid if block else grid.reshape(())
    return Case(FP8(block), {".weight": numbers, ".weight_scale_inv": scales}, expected, {".weight": "F8_E4M3"})


def e2m1(nibble: int) -> float:
    """Sign, two bits of exponent (bias 1), one of mantissa."""
    sign, exponent, mantissa = -1 if nibble >> 3 else 1, nibble >> 1 & 3, nibble & 1
    return sign * (mantissa / 2 if exponent == 0 else (1 + mantissa / 2) * 2.0 ** (exponent - 1))


def mxfp4(experts: int = 3, rows: int = 10, groups: int = 2) -> Case:
    rng = random()
    blocks = rng.integers(0, 256, (experts, rows, groups, 16)).astype(np.uint8)
    scales = rng.integers(100, 140, (experts, rows, groups)).astype(np.uint8)
    scales[0, 0] = (0, 1)
    expected = np.empty((experts * rows, groups * 32), np.float32)
    for e, r, g, i in np.ndindex(experts, rows, groups, 32):
        byte = int(blocks[e, r, g, i // 2])
        nibble = byte >> 4 if i % 2 else byte & 15
        expected[e * rows + r, g * 32 + i] = e2m1(nibble) * 2.0 ** (int(scales[e, r, g]) - 127)
    return Case(MXFP4Pairs(), {"_blocks": blocks, "_scales": scales}, expected, {})


def pack(nibbles: list[int], width: int) -> int:
    """A signed word of numbers, the first in the lowest bits."""
    word = sum(value << width * place for place, value in enumerate(nibbles))
    return int(struct.unpack("<i", struct.pack("<I", word))[0])


def awq(group: int = 32, inputs: int = 64, outputs: int = 40) -> Case:
    rng = random()
    groups = inputs // (group or inputs)
    q, z = rng.integers(0, 16, (inputs, outputs)), rng.integers(0, 16, (groups, outputs))
    scales = rng.normal(size=(groups, outputs)).astype(np.float16)

    def words(values: np.ndarray) -> np.ndarray:
        order = (0, 2, 4, 6, 1, 3, 5, 7)
        return np.array(
            [[pack([int(row[w + o]) for o in order], 4) for w in range(0, outputs, 8)] for row in values], np.int32
        )

    expected = np.empty((outputs, inputs), np.float32)
    for o, i in np.ndindex(outputs, inputs):
        g = i // (group or inputs)
        expected[o, i] = np.float32(int(q[i, o]) - int(z[g, o])) * np.float32(scales[g, o])
    return Case(AWQ(group), {".qweight": words(q), ".qzeros": words(z), ".scales": scales}, expected, {})


def gptq(
    bits: int = 4, group: int = 16, *, less_one: bool = True, order: bool = False, named: bool = True, inputs: int = 64
) -> Case:
    rng, outputs, per = random(), 24, 32 // bits
    groups = -(-inputs // (group or inputs))
    q, z = rng.integers(0, 1 << bits, (inputs, outputs)), rng.integers(1, 1 << bits, (groups, outputs))
    group_of = np.arange(inputs) // (group or inputs)
    if order:
        group_of = rng.permutation(group_of)
    scales = rng.normal(size=(groups, outputs)).astype(np.float16)
    qweight = [
        [pack([int(q[w + i, o]) for i in range(per)], bits) for o in range(outputs)] for w in range(0, inputs, per)
    ]
    qzeros = [
        [pack([int(z[g, w + o]) - less_one for o in range(per)], bits) for w in range(0, outputs, per)]
        for g in range(groups)
    ]
    expected = np.empty((outputs, inputs), np.float32)
    for o, i in np.ndindex(outputs, inputs):
        g = group_of[i]
        expected[o, i] = np.float32(int(q[i, o]) - int(z[g, o])) * np.float32(scales[g, o])
    parts = {".qweight": np.array(qweight, np.int32), ".qzeros": np.array(qzeros, np.int32), ".scales": scales}
    if named:
        parts[".g_idx"] = group_of.astype(np.int32)
    stored = GPTQ(8 if bits == 8 else 4, group, zeros_less_one=less_one, reordered=order)
    return Case(stored, parts, expected, {})


CASES: dict[str, Callable[[], Case]] = {
    "fp8": fp8,
    "fp8 whole blocks": lambda: fp8((8, 24)),
    "fp8 one scale": lambda: fp8(None),
    "mxfp4": mxfp4,
    "awq": awq,
    "awq one group": lambda: awq(0),
    "gptq": gptq,
    "gptq desc_act": lambda: gptq(order=True),
    "gptq v2": lambda: gptq(less_one=False),
    "gptq without g_idx": lambda: gptq(named=False),
    "gptq one group": lambda: gptq(group=0),
    "gptq last group short": lambda: gptq(group=24),
    "gptq 8 bits": lambda: gptq(8, order=True),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def same(ours: Tensor, expected: np.ndarray) -> bool:
    """Bit for bit, but for the sign of zero."""
    return ours.dtype == torch.float32 and ours.is_contiguous() and bool(np.array_equal(ours.numpy(), expected))


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_numbers_are_exact_wherever_the_bytes_lie(case: Case, shift: int) -> None:
    matrix = case.matrix(shift)
    assert matrix.shape == case.expected.shape
    assert same(matrix.unpack(), case.expected)


def test_any_rows(case: Case) -> None:
    matrix = case.matrix()
    for rows in (slice(3, 11), slice(7, 8), slice(1, None, 2), slice(5, 5), slice(-3, None)):
        assert same(matrix.unpack(rows), case.expected[rows])
        assert same(matrix.rows(rows).unpack(), case.expected[rows])
    assert same(matrix.rows(slice(1, None, 2)).rows(slice(2, 5)).unpack(), case.expected[1::2][2:5])
    ids = torch.tensor([[3, 19, 3], [0, 1, 2]])
    assert same(matrix.unpack(ids), case.expected[ids.numpy()])
    assert matrix.unpack(torch.empty(0, dtype=torch.int64)).shape == (0, matrix.shape[1])
    with pytest.raises(IndexError):
        matrix.unpack(torch.tensor([matrix.shape[0]]))


def test_the_product_is_the_reference_product(case: Case) -> None:
    matrix = case.matrix()
    x = torch.randn(5, matrix.shape[1], generator=torch.Generator().manual_seed(1))
    expected = x @ torch.from_numpy(case.expected).T
    torch.testing.assert_close(multiply_reference(x, matrix), expected, rtol=1e-4, atol=1e-3)
    assert torch.equal(multiply(x, matrix), multiply_reference(x, matrix))


def test_the_numbers_themselves_are_not_copied(case: Case) -> None:
    bulk = case.stored.required[0]
    values = case.parts[bulk]
    raw = {part: torch.from_numpy(np.frombuffer(v.tobytes(), np.uint8).copy()) for part, v in case.parts.items()}
    matrix = PartedMatrix.from_raw(case.stored, case.infos(), raw)
    assert matrix.parts[bulk].data_ptr() == raw[bulk].data_ptr()
    assert matrix.nbytes == sum(v.nbytes for v in case.parts.values()) > values.nbytes
    assert matrix.rows(slice(0, matrix.shape[0] // 2)).nbytes == matrix.nbytes // 2


def test_unpacking_changes_nothing(case: Case) -> None:
    matrix = case.matrix()
    matrix.unpack()
    assert same(matrix.unpack(), case.expected)


@pytest.mark.parametrize("name", ["fp8", "mxfp4", "awq", "gptq"])
def test_parts_that_do_not_fit_are_named(name: str) -> None:
    case = CASES[name]()
    for part, info in case.infos().items():
        for changed in (
            TensorInfo(info.name, (*info.shape[:-1], info.shape[-1] + 128), info.format, info.nbytes),
            TensorInfo(info.name, (*info.shape, 1), info.format, info.nbytes),
            TensorInfo(info.name, info.shape, "I64", info.nbytes),
        ):
            with pytest.raises(CorruptModelFile, match=r"w[._]"):
                case.stored.shape(case.infos() | {part: changed})


@pytest.mark.parametrize("index", [-1, 4, 2**31 - 1])
def test_a_group_that_is_not_there_is_refused(index: int) -> None:
    case = gptq()
    case.parts[".g_idx"][7] = index
    with pytest.raises(CorruptModelFile, match="g_idx"):
        case.matrix()


def test_reordered_groups_are_not_guessed() -> None:
    case = gptq(order=True)
    infos = case.infos()
    del infos[".g_idx"]
    with pytest.raises(CorruptModelFile, match="g_idx"):
        case.stored.shape(infos)


def test_a_zero_point_of_zero_borrows_and_is_given_back() -> None:
    """Less one of the whole word is how such zeros are stored; they come back as they were."""
    case = gptq()
    plain = np.array([[pack([0, 3, 0, 0, 15, 0, 7, 1], 4)] * 3] * 4, np.int32)
    less_one = (plain.view(np.uint32) - np.uint32(0x11111111)).view(np.int32)
    v1 = Case(case.stored, case.parts | {".qzeros": less_one}, case.expected, {})
    v2 = Case(GPTQ(4, 16, zeros_less_one=False), case.parts | {".qzeros": plain}, case.expected, {})
    assert torch.equal(v1.matrix().unpack(), v2.matrix().unpack())
