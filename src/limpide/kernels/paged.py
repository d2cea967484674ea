"""Attention on a paged cache, as torch tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from limpide.kernels.arguments import call
from limpide.kernels.library import kernel
from limpide.kernels.matmul import SPLIT_PRODUCTS, float_bits
from limpide.kernels.tiles import QUERY_TILE, attention_scratch_bytes

FEW_QUERIES = 8
"""Up to so many queries of a sequence are answered one by one, as each would be alone: the same bits. That is what
speculation computes at once, whatever shares the step."""
_SPLIT_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Heads:
    """The shape of one layer's attention."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    window: int
    """Keys that a query sees, itself included; 0: all."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one step asks of attention, computed once for all layers with the same window: of sequences with few
    queries, or of those with many."""

    rows: Tensor
    """int64. Few queries: [queries, 4] sequence, token, first key, end of keys. Many: [tiles, 4] sequence, token,
    count, position.
    """
    few: bool
    most_keys: int


def supports(heads: Heads) -> bool:
    """Whether the kernels can do this shape."""
    return heads.head_dim % 32 == 0 and heads.heads % heads.kv_heads == 0


def plan(query_starts: Sequence[int], kv_lengths: Sequence[int], window: int) -> list[Work]:
    """Lay out a step's work. `query_starts` has S + 1 boundaries, `kv_lengths` the keys of each sequence after the
    step.
    """
    few: list[tuple[int, ...]] = []
    many: list[tuple[int, ...]] = []
    for sequence, ((start, stop), length) in enumerate(zip(pairwise(query_starts), kv_lengths, strict=True)):
        count = stop - start
        first = length - count
        if count <= FEW_QUERIES:
            few += [
                (sequence, start + i, max(0, first + i + 1 - window) if window else 0, first + i + 1)
                for i in range(count)
            ]
        else:
            many += [
                (sequence, start + at, min(QUERY_TILE, count - at), first + at) for at in range(0, count, QUERY_TILE)
            ]
    most = max(kv_lengths, default=0)
    return [Work(torch.tensor(rows, dtype=torch.int64), rows is few, most) for rows in (few, many) if rows]


def place(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    heads: Heads,
    tables: Tensor,
    slots: Tensor,
    pools: tuple[Tensor, Tensor],
    norms: tuple[Tensor, Tensor] | None = None,
    epsilon: float = 0.0,
) -> None:
    """Turn the queries in place; turn the keys, and store keys and values in their pages.

    `q` [T, heads * head_dim], `k` and `v` [T, kv_heads * head_dim], rows contiguous; `tables` [T, 2, head_dim]:
    cosines and sines; `slots` [T] int64; `pools` [blocks, block_size, kv_heads, head_dim] float16; `norms`: weights
    of head norms.
    """
    tokens = q.shape[0]
    q_norm, k_norm = (0, 0) if norms is None else (norms[0].data_ptr(), norms[1].data_ptr())
    call(
        kernel("attention.place"),
        [
            0,
            tokens,
            heads.heads,
            heads.kv_heads,
            heads.head_dim,
            q.data_ptr(),
            4 * q.stride(0),
            k.data_ptr(),
            4 * k.stride(0),
            v.data_ptr(),
            4 * v.stride(0),
            tables.data_ptr(),
            slots.data_ptr(),
            pools[0].data_ptr(),
            pools[1].data_ptr(),
            q_norm,
            k_norm,
            float_bits(epsilon),
        ],
        threads=1 if tokens < _SPLIT_TOKENS else None,
    )


def attend(
    q: Tensor,
    out: Tensor,
    *,
    heads: Heads,
    work: Work,
    pools: tuple[Tensor, Tensor],
    block_tables: Tensor,
    block_size: int,
) -> None:
    """Each query's mix of its sequence's values, to `out` [T, heads * head_dim]. Scores are causal, within the
    window.
    """

    arguments = [
        0,
        0,
        work.rows.data_ptr(),
        work.rows.shape[0],
        heads.heads,
        heads.kv_heads,
        heads.head_dim,
        q.data_ptr(),
        4 * q.stride(0),
        out.data_ptr(),
        pools[0].data_ptr(),
        pools[1].data_ptr(),
        block_tables.data_ptr(),
        block_tables.stride(0),
        block_size,
        float_bits(heads.scale),
    ]
    if work.few:
        # what most_keys has room for, not what there is: a recorded call serves longer sequences too
        small = work.rows.shape[0] * heads.heads * heads.head_dim * work.most_keys < SPLIT_PRODUCTS
        threads = 1 if small else None
        call(kernel("attention.attend_few"), arguments, threads=threads, scratch=4 * (work.most_keys + 8))
    else:
        arguments.append(heads.window)
        group = heads.heads // heads.kv_heads
        call(kernel("attention.attend_many"), arguments, scratch=attention_scratch_bytes(group, heads.head_dim))
