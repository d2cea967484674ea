"""Products of stored blocks and rounded activations, held against the unpacked matrix."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limpide.kernels import matmul
from limpide.quant import get_format, multiply, multiply_reference
from limpide.quant.tensor import QuantTensor

SCALES = {  # where each format keeps its float16 factors
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "MXFP4": (),
}


def matrix(name: str, rows: int, columns: int, seed: int = 0) -> QuantTensor:
    """Random blocks with sane scales."""
    generator = torch.Generator().manual_seed(seed)
    stored = get_format(name)
    blocks = torch.randint(0, 256, (rows * columns // stored.block_size, stored.block_bytes), generator=generator)
    blocks = blocks.to(torch.uint8)
    for at in SCALES[name]:
        factors = (torch.rand(len(blocks), 1, generator=generator) * 0.02 - 0.01).to(torch.float16)
        blocks[:, at : at + 2] = factors.view(torch.uint8)
    if name == "MXFP4":  # a power of two
        blocks[:, 0] = torch.randint(118, 124, (len(blocks),), generator=generator).to(torch.uint8)
    return QuantTensor(stored, (rows, columns), blocks.view(rows, -1))


def activations(rows: int, columns: int, seed: int = 1) -> torch.Tensor:
    """Normal numbers with a few large ones, as language models have."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator)
    x[:, ::97] *= 20
    return x


def product(x: torch.Tensor, w: QuantTensor) -> torch.Tensor:
    return times(matmul.round_plain(x), w)


def times(rounded: matmul.ByteRows, *weights: QuantTensor) -> torch.Tensor:
    outs = [torch.empty(rounded.rows, w.shape[0]) for w in weights]
    matmul.multiply(rounded, [matmul.Matrix.of(w.data, w.format.name, w.shape[1]) for w in weights], outs)
    return torch.cat(outs, dim=1)


def test_every_format_of_the_table_has_a_test() -> None:
    assert set(SCALES) == matmul.FORMATS


@pytest.mark.parametrize("name", sorted(SCALES))
def test_agrees_with_the_unpacked_matrix(name: str) -> None:
    w = matrix(name, 45, 512)  # 45: the last tile is not full
    for rows in (1, 5, 30):
        x = activations(rows, 512)
        expected = multiply_reference(x, w)
        error = (product(x, w) - expected).norm() / expected.norm()
        assert error < 8e-3, f"{rows} rows"


@pytest.mark.parametrize("name", sorted(SCALES))
def test_rows_do_not_depend_on_their_neighbours(name: str) -> None:
    w = matrix(name, 40, 256)
    x = activations(23, 256)
    together = product(x, w)  # the kernel for many rows
    for row in range(len(x)):
        assert torch.equal(product(x[row : row + 1], w)[0], together[row])  # the kernel for few
    assert torch.equal(product(x[7:12], w), together[7:12])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.integers(1, 6), st.integers(0, 2**31))
def test_any_shape(rows: int, matrix_rows: int, groups: int, seed: int) -> None:
    w, x = matrix("Q4_1", matrix_rows, 32 * groups, seed), activations(rows, 32 * groups, seed)
    room = 1e-2 * x.norm(dim=1, keepdim=True) * w.unpack().norm(dim=1)
    assert ((product(x, w) - multiply_reference(x, w)).abs() <= room).all()


def test_one_thread_and_two_give_the_same_bits() -> None:
    w, x = matrix("Q4_K", 200, 256), activations(40, 256)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = product(x, w)
        torch.set_num_threads(2)
        two = product(x, w)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one, two)


def test_the_rest_is_kept_where_values_are_large() -> None:
    x = torch.randn(1, 576, generator=torch.Generator().manual_seed(0))
    x[0, 100] = 40.0  # one value that makes its group's scale coarse
    rounded = matmul.round_plain(x)
    kept = rounded.factors[1, 0, :, 0].nonzero().flatten().tolist()
    assert kept == [100 // 32]
    w = matrix("Q8_0", 64, 576)
    expected = multiply_reference(x, w)
    exact = (product(x, w) - expected).norm()
    rounded.factors[1].zero_()
    without = (times(rounded, w) - expected).norm()
    assert exact < without / 3


def test_zeros_and_extremes() -> None:
    w = matrix("Q4_0", 16, 64)
    assert torch.equal(product(torch.zeros(2, 64), w), torch.zeros(2, 16))
    tiny, huge = torch.full((1, 64), 1e-20), torch.full((1, 64), 1e30)
    for x in (tiny, huge):
        expected = multiply_reference(x, w)
        torch.testing.assert_close(product(x, w), expected, rtol=1e-2, atol=float(expected.abs().max()) * 1e-2)


def test_norm_and_gate_before_rounding() -> None:
    x, weight = activations(6, 192), torch.rand(192) + 0.5
    w = matrix("Q5_1", 32, 192)
    normed = torch.nn.functional.rms_norm(x, (192,), weight, 1e-5)
    y = times(matmul.round_norm(x, weight, 1e-5), w)
    torch.testing.assert_close(y, multiply_reference(normed, w), rtol=0, atol=float(y.abs().max()) * 1e-2)
    up = activations(6, 192, 5)
    for kind, function in (
        ("silu", torch.nn.functional.silu),
        ("gelu_tanh", lambda v: torch.nn.functional.gelu(v, approximate="tanh")),
    ):
        rounded = matmul.round_gated(x, up, kind)  # type: ignore[arg-type]
        y = times(rounded, w)
        expected = multiply_reference(function(x) * up, w)
        torch.testing.assert_close(y, expected, rtol=0, atol=float(expected.abs().max()) * 1e-2)


def test_adding_to_a_residual_stream() -> None:
    w = matrix("Q6_K", 256, 256)
    for rows in (2, 17):
        x, stream = activations(rows, 256), activations(rows, 256, 9)
        expected = stream + product(x, w)
        matmul.multiply(matmul.round_plain(x), [matmul.Matrix.of(w.data, "Q6_K", 256)], [stream], add=True)
        torch.testing.assert_close(stream, expected)
        normed = stream + torch.nn.functional.rms_norm(x, (256,), w.unpack()[0], 1e-6)
        matmul.add_norm(stream, x, w.unpack()[0].contiguous(), 1e-6)
        torch.testing.assert_close(stream, normed)


def test_several_matrices_share_the_activations() -> None:
    x = activations(3, 128)
    weights = [matrix("Q4_1", rows, 128, rows) for rows in (24, 8, 20)]
    together = times(matmul.round_plain(x), *weights)
    assert torch.equal(together, torch.cat([product(x, w) for w in weights], dim=1))


def test_gradients_take_the_reference_path() -> None:
    w = matrix("Q4_1", 8, 64)
    x = activations(2, 64).requires_grad_()
    multiply(x, w).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, w.unpack().sum(0).expand(2, -1))


def test_mxfp4_is_decoded_to_the_bit() -> None:
    """Ones at every place find every number, at exponents from the smallest to far up; 255 is no number."""
    exponents = torch.tensor([*range(4), 60, 127, 128, 200, 240], dtype=torch.uint8)
    nibbles = torch.arange(16, dtype=torch.uint8)
    blocks = torch.empty(len(exponents), 2, 17, dtype=torch.uint8)
    blocks[:, :, 0] = exponents[:, None]
    blocks[:, 0, 1:], blocks[:, 1, 1:] = nibbles | nibbles.flip(0) << 4, nibbles.roll(3) << 4 | nibbles.roll(5)
    w = QuantTensor(get_format("MXFP4"), (len(exponents), 64), blocks.view(len(exponents), -1))
    ones = 127 * torch.eye(64)  # a scale of one
    assert torch.equal(product(ones, w), 127 * w.unpack().T)
    assert torch.equal(torch.cat([product(one[None], w) for one in ones]), 127 * w.unpack().T)
