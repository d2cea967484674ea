"""What all blocks share during one step: computed once, not once per layer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from limpide.kernels.buffers import Buffers
from limpide.kernels.fields import COARSE, FINE
from limpide.kernels.matmul import Rounding
from limpide.kernels.paged import Work, plan
from limpide.layers.kv import KVView, Pages
from limpide.layers.rope import Rotation
from limpide.layers.spec import MaskSpec, QueryTemperature, RopeSpec
from limpide.layers.taps import Taps

FINE_POSITIONS = 64
"""How many of a sequence's first tokens are rounded more finely in `fast` numerics."""
_LEAST_BLOCKS = 64
"""Room in a lasting block table, which grows by doubling."""


class Step:
    """The cache's view, the rotations and masks of a step, and its taps."""

    def __init__(
        self,
        kv: KVView,
        rotations: Mapping[RopeSpec, Rotation],
        taps: Taps | None,
        buffers: Buffers | None = None,
    ) -> None:
        self.kv = kv
        self.rotations = rotations
        self.taps = taps
        self.fused = taps is None and not torch.is_grad_enabled() and _in_half_precision(kv)
        """Whether blocks may use the kernels: nobody looks inside, and the cache lies in pages that they read."""
        self.buffers = buffers or Buffers()
        """Memory that the blocks' kernels share."""
        self._masks: dict[tuple[MaskSpec, int, int, int], Tensor] = {}
        self.per_layer: Tensor | None = None
        """[T, blocks, width] each block's part of a second embedding, in models that have one."""
        self._temperatures: dict[QueryTemperature, Tensor] = {}
        self._tables: dict[RopeSpec, Tensor] = {}
        self._work: dict[int, list[Work]] = {}

    @property
    def pages(self) -> Pages:
        """The cache's storage, which a fused step has."""
        if self.kv.pages is None:
            raise AssertionError("the fused path was chosen without pages")
        return self.kv.pages

    @property
    def rounding(self) -> Rounding:
        """How the step's activations are rounded for the kernels."""
        return Rounding(self.buffers, self._thresholds)

    def rounding_of(self, rows: Tensor, buffers: Buffers) -> Rounding:
        """How those of some of its tokens are, the same way."""
        return Rounding(buffers, self._thresholds[rows])

    @cached_property
    def _thresholds(self) -> Tensor:
        # All later tokens read the first ones, and short prompts are nothing else: there finer rounding costs little.
        # It is a matter of the position alone, so a token's result is the same in any batch and however it came.
        return self.buffers.hold("thresholds", torch.where(self._positions < FINE_POSITIONS, FINE, COARSE))

    @cached_property
    def _positions(self) -> Tensor:
        """[T] int64: each token's place in its sequence."""
        runs = [
            torch.arange(length - (stop - start), length)
            for (start, stop), length in zip(pairwise(self.kv.query_starts), self.kv.kv_lengths, strict=True)
        ]
        return torch.cat(runs)

    def tables(self, rope: RopeSpec) -> Tensor:
        """Cosines and sines of the step's tokens for the kernels, [T, 2, dims]."""
        tables = self._tables.get(rope)
        if tables is None:
            rotation = self.rotations[rope]
            tables = self.buffers.hold(f"tables {rope}", torch.cat((rotation.cos, rotation.sin), dim=1))
            self._tables[rope] = tables
        return tables

    def temperature(self, spec: QueryTemperature) -> Tensor:
        """What the step's queries are multiplied by, [T, 1, 1]."""
        temperature = self._temperatures.get(spec)
        if temperature is None:
            periods = torch.div(self._positions + spec.offset, spec.period, rounding_mode="floor")
            temperature = self._temperatures[spec] = (1 + spec.beta * torch.log1p(periods.float()))[:, None, None]
        return temperature

    def work(self, window: int) -> list[Work]:
        """What the step asks of attention layers with this window (0: none)."""
        work = self._work.get(window)
        if work is None:
            room = self.block_tables.shape[1] * self.pages.block_size
            work = self._work[window] = [
                Work(self.buffers.hold(f"work {window} {each.few}", each.rows), each.few, room)
                for each in plan(self.kv.query_starts, self.kv.kv_lengths, window)
            ]
        return work

    def work_of(self, rows: Tensor, window: int) -> list[Work]:
        """What some of the step's tokens ask of attention layers with this window: each on its own."""
        tasks = []
        starts, lengths = self.kv.query_starts, self.kv.kv_lengths
        for token, row in enumerate(rows.tolist()):
            sequence = bisect_right(starts, row) - 1
            end = lengths[sequence] - (starts[sequence + 1] - 1 - row)
            tasks.append((sequence, token, max(0, end - window) if window else 0, end))
        return [Work(torch.tensor(tasks, dtype=torch.int64), True, max(lengths))]

    @cached_property
    def slots(self) -> Tensor:
        """[T] int64: where each token's keys and values are stored."""
        return self.buffers.hold("slots", self.pages.slots)

    @cached_property
    def block_tables(self) -> Tensor:
        """[S, blocks] int32: each sequence's blocks. Lasting ones have room to grow."""
        tables = self.pages.block_tables
        if not self.buffers.lasting:
            return tables
        sequences, width = tables.shape
        room = max(_LEAST_BLOCKS, 1 << width.bit_length())
        held = self.buffers.tensor("block tables", sequences, room, dtype=tables.dtype)
        held[:, :width] = tables
        return held

    def settle(self, windows: Iterable[int], layers: Iterable[int]) -> Hashable:
        """Bring all that kernels read of this step to where recorded calls look for it.

        Equal results mean that a recording of one step fits another.
        """
        for rope in self.rotations:
            self.tables(rope)
        self._thresholds  # noqa: B018 - held from here on
        shapes = [(work.few, work.rows.shape) for window in windows for work in self.work(window)]
        # Those of all layers: of two caches that lived one after the other, some may have lain in the same place.
        pools = tuple(pool.data_ptr() for layer in layers for pool in self.pages.pool(layer))
        return tuple(shapes), self.slots.shape, self.block_tables.shape, self.pages.block_size, pools

    def mask(self, spec: MaskSpec, first_query: int, num_queries: int, first_key: int) -> Tensor:
        """Which keys each query may not see, bool [queries, keys]; keys run from `first_key` to the last query."""
        key = (spec, first_query, num_queries, first_key)
        mask = self._masks.get(key)
        if mask is None:
            stop = first_query + num_queries
            mask = self._masks[key] = _hidden(spec, torch.arange(first_query, stop), torch.arange(first_key, stop))
        return mask


def _in_half_precision(kv: KVView) -> bool:
    return kv.pages is not None and kv.pages.pool(0)[0].dtype == torch.float16


def first_visible_key(spec: MaskSpec, query: int) -> int:
    """The earliest key that a query at index `query` of its sequence sees."""
    if spec.kind == "window":
        return max(0, query - spec.size + 1)
    if spec.kind == "chunk":
        return query - query % spec.size
    return 0


def _hidden(spec: MaskSpec, queries: Tensor, keys: Tensor) -> Tensor:
    q, k = queries[:, None], keys[None, :]
    hidden = k > q
    if spec.kind == "window":
        hidden |= k <= q - spec.size
    elif spec.kind == "chunk":
        hidden |= k // spec.size != q // spec.size
    return hidden
