"""Stacks of matrices: every layout gives the same numbers, and only what is asked for is copied or expanded."""

from __future__ import annotations

from typing import Any

import gguf
import pytest
import torch
from torch import Tensor

from limpide.core.errors import UnsupportedFormat
from limpide.quant import Layout, QuantStack, QuantTensor, get_format

COUNT, ROWS, COLS = 3, 6, 32
PARTS = ("all", "first", "second", "even", "odd")


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).half().float()


def in_halves(values: Tensor) -> QuantTensor:
    rows = values.flatten(0, -2)
    return QuantTensor(get_format("F16"), tuple(rows.shape), rows.half().contiguous().view(torch.uint8))


def laid_out(ours: Tensor, layout: Layout) -> Tensor:
    """Written from the meaning of the words, with a stranger's rows in between."""
    other = torch.full_like(ours, 9.0)
    joined = {
        "all": lambda: ours,
        "first": lambda: torch.cat((ours, other), dim=1),
        "second": lambda: torch.cat((other, ours), dim=1),
        "even": lambda: torch.stack((ours, other), dim=2).flatten(1, 2),
        "odd": lambda: torch.stack((other, ours), dim=2).flatten(1, 2),
    }[layout.part]()
    return joined.mT.contiguous() if layout.transposed else joined


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_every_layout_gives_our_matrices(part: Any, transposed: bool) -> None:
    ours, layout = numbers(COUNT, ROWS, COLS), Layout(part, transposed)
    stored = laid_out(ours, layout)
    assert layout.stored_shape(tuple(ours.shape)) == tuple(stored.shape)
    assert torch.equal(layout.view(stored), ours)
    whole = QuantStack.split(in_halves(stored), (COUNT, ROWS, COLS), layout)
    apart = QuantStack((COUNT, ROWS, COLS), tuple(in_halves(matrix) for matrix in stored), layout)
    for stack in (whole, apart):
        assert torch.equal(stack.unpack(), ours)
        for index in range(COUNT):
            matrix = stack.matrix(index)
            assert torch.equal(matrix.unpack() if isinstance(matrix, QuantTensor) else matrix, ours[index])


@pytest.mark.parametrize("part", ["all", "first", "second"])
def test_rows_that_lie_together_are_not_copied(part: Any) -> None:
    whole = in_halves(laid_out(numbers(COUNT, ROWS, COLS), Layout(part)))
    stack = QuantStack.split(whole, (COUNT, ROWS, COLS), Layout(part))
    start = whole.data.data_ptr()
    for index in range(COUNT):
        matrix = stack.matrix(index)
        assert isinstance(matrix, QuantTensor)
        assert start <= matrix.data.data_ptr() < start + whole.nbytes


@pytest.mark.parametrize("part", PARTS)
def test_blocks_of_any_format_can_be_parts_of_rows(part: Any) -> None:
    stored = laid_out(numbers(COUNT, ROWS, COLS), Layout(part)).flatten(0, 1)
    packed = torch.from_numpy(gguf.quants.quantize(stored.numpy(), gguf.GGMLQuantizationType.Q8_0))
    whole = QuantTensor(get_format("Q8_0"), tuple(stored.shape), packed)
    stack = QuantStack.split(whole, (COUNT, ROWS, COLS), Layout(part))
    assert torch.equal(stack.unpack(), Layout(part).view(whole.unpack().view(COUNT, -1, COLS)))


def test_blocks_that_run_across_are_refused() -> None:
    data = torch.zeros(COUNT * COLS, 34, dtype=torch.uint8)
    whole = QuantTensor(get_format("Q8_0"), (COUNT * COLS, 32), data)
    with pytest.raises(UnsupportedFormat, match="Q8_0"):
        QuantStack.split(whole, (COUNT, 32, COLS), Layout("all", True)).matrix(0)


def test_a_stack_of_the_wrong_size_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="stack of"):
        QuantStack((COUNT, ROWS, COLS), (in_halves(numbers(ROWS, COLS)),))
