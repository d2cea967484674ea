"""One step of the model: a plan becomes flat tensors, and logits come back for the rows that are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from limpide.cache import PagedCache, StepView
from limpide.engine.pooling import Pooling
from limpide.engine.request import Model
from limpide.engine.scheduler import Plan
from limpide.engine.sequence import Sequence

if TYPE_CHECKING:
    from limpide.layers.kv import KVView

LOGITS_TILE = 64
"""Rows of logits held at once: a vocabulary of 262k makes them 64 MB."""


class Batch:
    """A step's flat ragged tensors. tokens, positions: [T] int64; `wanted` has (sequence, first flat row, rows)."""

    __slots__ = ("positions", "rows", "tokens", "view", "wanted")

    def __init__(self, plan: Plan, cache: PagedCache) -> None:
        items = []
        flat: list[int] = []
        positions: list[int] = []
        self.wanted: list[tuple[Sequence, int, int]] = []
        for sequence, count in plan.items():
            start = sequence.num_computed
            end = start + count
            if sequence.lease is None:
                raise AssertionError("a sequence was scheduled without blocks")
            items.append((sequence.lease, start, count))
            flat.extend(sequence.span(start, end))
            positions.extend(range(start, end))
            first = max(start, sequence.logits_from)
            if first < end:
                self.wanted.append((sequence, len(flat) - (end - first), end - first))
        self.tokens = torch.from_numpy(np.array(flat, dtype=np.int64))
        self.positions = torch.from_numpy(np.array(positions, dtype=np.int64))
        rows = [row for _, first, count in self.wanted for row in range(first, first + count)]
        self.rows = None if len(rows) == len(flat) else torch.tensor(rows, dtype=torch.int64)
        """All flat rows that are wanted, in the order of `wanted`; None: every row"""
        self.view: StepView = cache.view(items)


class Runner:
    """Calls the model. Changes nothing but the cache's content at positions that are not computed yet."""

    def __init__(self, model: Model, cache: PagedCache) -> None:
        self._model = model
        self._cache = cache

    def run(self, plan: Plan) -> None:
        """Compute a plan's tokens and hand every owner the logits, or the hidden states, that it wants."""
        with torch.inference_mode():
            batch = Batch(plan, self._cache)
            hidden = self._model.forward(batch.tokens, batch.positions, cast("KVView", batch.view), batch.rows)
            done = 0
            for tile in _tiles(batch.wanted):
                size = sum(count for _, _, count in tile)
                rows = hidden[done : done + size]
                done += size
                results = (rows if _pooled(tile[0][0]) else self._model.logits(rows)).numpy()
                at = 0
                for sequence, row, count in tile:
                    position, owner = int(batch.positions[row].item()), sequence.owner
                    take = owner.on_hidden if isinstance(owner, Pooling) else owner.on_logits
                    take(position, results[at : at + count])
                    at += count


def _tiles(wanted: list[tuple[Sequence, int, int]]) -> list[list[tuple[Sequence, int, int]]]:
    """The wanted rows in portions: at most LOGITS_TILE for logits, or all of one sequence's hidden states."""
    tiles: list[list[tuple[Sequence, int, int]]] = []
    room = 0
    for sequence, first, total in wanted:
        if _pooled(sequence):
            tiles.append([(sequence, first, total)])
            room = 0
            continue
        row, left = first, total
        while left:
            if room == 0:
                tiles.append([])
                room = LOGITS_TILE
            count = min(left, room)
            tiles[-1].append((sequence, row, count))
            row, left, room = row + count, left - count, room - count
    return tiles


def _pooled(sequence: Sequence) -> bool:
    return isinstance(sequence.owner, Pooling)
