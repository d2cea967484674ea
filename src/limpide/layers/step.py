"""What all blocks share during one step: computed once, not once per layer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from limpide.kernels.buffers import Buffers
from limpide.kernels.paged import Work, plan
from limpide.layers.kv import KVView
from limpide.layers.rope import Rotation
from limpide.layers.spec import MaskSpec, QueryTemperature, RopeSpec
from limpide.layers.taps import Taps


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
        self._work: dict[int, Work] = {}

    def tables(self, rope: RopeSpec) -> Tensor:
        """Cosines and sines of the step's tokens for the kernels, [T, 2, dims]."""
        tables = self._tables.get(rope)
        if tables is None:
            rotation = self.rotations[rope]
            tables = self._tables[rope] = torch.cat((rotation.cos, rotation.sin), dim=1)
        return tables

    def temperature(self, spec: QueryTemperature) -> Tensor:
        """What the step's queries are multiplied by, [T, 1, 1]."""
        temperature = self._temperatures.get(spec)
        if temperature is None:
            starts = pairwise(self.kv.query_starts)
            runs = [
                torch.arange(length - (stop - start), length)
                for (start, stop), length in zip(starts, self.kv.kv_lengths, strict=True)
            ]
            periods = torch.div(torch.cat(runs) + spec.offset, spec.period, rounding_mode="floor")
            temperature = self._temperatures[spec] = (1 + spec.beta * torch.log1p(periods.float()))[:, None, None]
        return temperature

    def work(self, window: int) -> Work:
        """What the step asks of attention layers with this window (0: none)."""
        work = self._work.get(window)
        if work is None:
            work = self._work[window] = plan(self.kv.query_starts, self.kv.kv_lengths, window)
        return work

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
