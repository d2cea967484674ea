"""Rotary positions: frequencies under each scaling rule, tables for one step, and the rotation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

import torch
from torch import Tensor

from limpide.layers.spec import (
    DivisorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    RopeScaling,
    RopeSpec,
    YarnScaling,
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Cosines and sines of one step, laid out for `rotate`: [T, 1, dims] each."""

    cos: Tensor
    sin: Tensor
    interleaved: bool


class RopeTable:
    """The frequencies of one RopeSpec, computed once per model."""

    def __init__(self, spec: RopeSpec) -> None:
        self.spec = spec
        self.interleaved = spec.style == "interleaved"
        self._frequencies, self._factor = frequencies(spec)
        scaling = spec.scaling
        self._long = base_frequencies(spec) / torch.tensor(scaling.long_factor) if _is_long(scaling) else None
        self._short_context = scaling.original_context if _is_long(scaling) else 0

    def rotation(self, positions: Tensor, query_starts: Sequence[int], kv_lengths: Sequence[int]) -> Rotation:
        """Tables for the tokens at `positions` [T], grouped into sequences as KVView says."""
        angles = positions.to(torch.float32)[:, None] * self._at(query_starts, kv_lengths)
        angles = angles.repeat_interleave(2, dim=-1) if self.interleaved else torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos()[:, None, :], angles.sin()[:, None, :]
        if self._factor != 1.0:
            cos, sin = cos * self._factor, sin * self._factor
        return Rotation(cos, sin, self.interleaved)

    def settle(self, context: int) -> None:
        """Use one set of LongRoPE's frequencies from now on: the one for sequences of up to `context` tokens."""
        if self._long is not None and context > self._short_context:
            self._frequencies = self._long
        self._long = None

    def _at(self, query_starts: Sequence[int], kv_lengths: Sequence[int]) -> Tensor:
        if self._long is None:
            return self._frequencies
        # Chosen per sequence, so that it does not depend on which others share the batch.
        counts = torch.tensor([stop - start for start, stop in pairwise(query_starts)])
        long = torch.tensor([length > self._short_context for length in kv_lengths]).repeat_interleave(counts)
        return torch.where(long[:, None], self._long, self._frequencies)


def _is_long(scaling: RopeScaling | None) -> TypeGuard[LongRopeScaling]:
    return isinstance(scaling, LongRopeScaling)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate heads [T, heads, head_dim]; dims past the rotation's pass unchanged."""
    dims = rotation.cos.shape[-1]
    part = x if dims == x.shape[-1] else x[..., :dims]
    if rotation.interleaved:
        pairs = part.reshape(*part.shape[:-1], -1, 2)
        turned = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)
    else:
        first, second = part.chunk(2, dim=-1)
        turned = torch.cat((-second, first), dim=-1)
    part = part * rotation.cos + turned * rotation.sin
    return part if dims == x.shape[-1] else torch.cat((part, x[..., dims:]), dim=-1)


def base_frequencies(spec: RopeSpec) -> Tensor:
    """θ^(−2i/dims) for each pair i, [dims/2] float32."""
    return 1.0 / spec.theta ** (torch.arange(0, spec.dims, 2, dtype=torch.float32) / spec.dims)


def frequencies(spec: RopeSpec) -> tuple[Tensor, float]:
    """Scaled frequencies [dims/2] and what cosines and sines are multiplied by."""
    base, scaling = base_frequencies(spec), spec.scaling
    if scaling is None:
        return base, 1.0
    if isinstance(scaling, LinearScaling):
        return base / scaling.factor, 1.0
    if isinstance(scaling, Llama3Scaling):
        return _llama3(base, scaling), 1.0
    if isinstance(scaling, YarnScaling):
        return _yarn(base, spec, scaling), _yarn_attention_factor(scaling)
    if isinstance(scaling, LongRopeScaling):
        return base / torch.tensor(scaling.short_factor), _longrope_attention_factor(scaling)
    return _divisors(base, scaling), 1.0


def _llama3(base: Tensor, scaling: Llama3Scaling) -> Tensor:
    turns = scaling.original_context * base / (2 * math.pi)  # full turns over the original context
    span = scaling.high_freq_factor - scaling.low_freq_factor
    kept = ((turns - scaling.low_freq_factor) / span if span else (turns > scaling.low_freq_factor).float()).clamp(0, 1)
    return (1 - kept) * base / scaling.factor + kept * base


def _yarn(base: Tensor, spec: RopeSpec, scaling: YarnScaling) -> Tensor:
    def dimension(turns: float) -> float:
        return spec.dims * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(spec.theta))

    low, high = dimension(scaling.beta_fast), dimension(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, spec.dims - 1)
    width = high - low or 0.001  # the same guard as in the reference implementation
    slowed = ((torch.arange(spec.dims // 2, dtype=torch.float32) - low) / width).clamp(0, 1)
    return slowed * base / scaling.factor + (1 - slowed) * base


def _yarn_attention_factor(scaling: YarnScaling) -> float:
    def magnitude(mscale: float) -> float:
        return 0.1 * mscale * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0

    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.mscale and scaling.mscale_all_dim:
        return magnitude(scaling.mscale) / magnitude(scaling.mscale_all_dim)
    return magnitude(1.0)


def _longrope_attention_factor(scaling: LongRopeScaling) -> float:
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.factor <= 1:
        return 1.0
    return math.sqrt(1 + math.log(scaling.factor) / math.log(scaling.original_context))


def _divisors(base: Tensor, scaling: DivisorScaling) -> Tensor:
    return base / torch.tensor(scaling.divisors)
