"""Products of rounded activations with the matrices of the experts that they chose, as torch tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from limpide.kernels.arguments import call
from limpide.kernels.buffers import ByteRows
from limpide.kernels.fields import NUM_JOB_FIELDS
from limpide.kernels.library import kernel
from limpide.kernels.matmul import FEW, SPLIT_PRODUCTS
from limpide.kernels.tiles import scratch_bytes


@dataclass(frozen=True, slots=True)
class Stack:
    """One matrix of every expert, in stored blocks, as the kernels see it."""

    format_name: str
    columns: int
    rows: int
    row_bytes: int
    """From one row to the next"""
    addresses: tuple[int, ...]
    """Of each expert's first row. What lies there must stay as it is and where it is."""
    owner: object
    """Whose memory it is, kept alive"""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring rows of activations, all for one expert."""

    expert: int
    x_row: int
    """The first of them"""
    out_row: int
    """Where the first one's result goes"""
    count: int


def multiply(
    x: ByteRows, runs: Sequence[Run], stacks: Sequence[Stack], outs: Sequence[Tensor], *, add: bool = False
) -> None:
    """Each run's rows times the transpose of its expert's matrix in each stack, written or added to float32 outs.

    Stacks are of one format and width. Each expert's matrix is read once. A row's result does not depend on the others.
    """
    few = [run for run in runs if run.count <= FEW]
    many = [run for run in runs if run.count > FEW]
    for name, some in (("grouped.few_rows", few), ("grouped.many_rows", many)):
        if some:
            _call(name, x, some, stacks, outs, add=add)


def _call(
    name: str, x: ByteRows, runs: Sequence[Run], stacks: Sequence[Stack], outs: Sequence[Tensor], *, add: bool
) -> None:
    q, factors = x.addresses
    jobs: list[int] = []
    for stack, out in zip(stacks, outs, strict=True):
        to, to_stride = out.data_ptr(), 4 * out.stride(0)
        for run in runs:
            jobs += (
                q + run.x_row * x.columns,
                factors + run.x_row * x.columns // 2,
                run.count,
                x.padded,
                stack.addresses[run.expert],
                stack.rows,
                stack.row_bytes,
                to + run.out_row * to_stride,
                to_stride,
                add,
            )
    table = (ctypes.c_int64 * len(jobs))(*jobs)
    work = x.columns * sum(run.count for run in runs) * sum(stack.rows for stack in stacks)
    call(
        kernel(name, stacks[0].format_name),
        [0, 0, x.columns, len(jobs) // NUM_JOB_FIELDS, ctypes.addressof(table)],
        threads=1 if work < SPLIT_PRODUCTS else None,
        scratch=scratch_bytes(x.columns),
    )
