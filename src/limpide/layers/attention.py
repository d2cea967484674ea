"""Grouped-query attention over a key-value cache (arXiv:2305.13245)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.linear import Linear, project
from limpide.layers.norm import Norm, make_norm
from limpide.layers.rope import rotate
from limpide.layers.spec import AttentionSpec, LatentAttentionSpec
from limpide.layers.step import Step, first_visible_key
from limpide.layers.weights import Weights

_ROWS = 16
"""Queries are computed by aligned runs of positions, filled up where a step has only some of them.

So a token's result is made by the same operations on the same shapes whether its text came in one piece, in chunks
or token by token, and is the same bits. Scores held at once are bounded too: memory grows with a prompt's length, not
with its square.
"""


class Attention(nn.Module):
    """Projections, optional query and key norms, rope, the attention itself, and the output projection."""

    def __init__(self, spec: AttentionSpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.spec = spec
        self.layer = layer
        self.q = Linear(weights.at("q"), bias=spec.qkv_bias)
        own_keys = spec.kv_source_layer is None
        self.k = Linear(weights.at("k"), bias=spec.qkv_bias) if own_keys else None
        self.v = Linear(weights.at("v"), bias=spec.qkv_bias) if own_keys and not spec.k_eq_v else None
        self.o = Linear(weights.at("o"), bias=spec.out_bias)
        self.q_norm = make_norm(spec.qk_norm, weights.at("q_norm")) if spec.qk_norm else None
        self.k_norm = make_norm(spec.qk_norm, weights.at("k_norm")) if spec.qk_norm and own_keys else None
        self.v_norm = make_norm(spec.v_norm, weights.at("v_norm")) if spec.v_norm and own_keys else None
        self.sinks = nn.Parameter(weights.vector("sinks"), requires_grad=False) if spec.sinks else None
        self._tap = f"blocks.{layer}.attn."

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """[T, hidden] to [T, hidden]; writes the step's keys and values to the cache if the layer has its own."""
        spec, taps = self.spec, step.taps
        q, k, v = self._project(x)
        gate = None
        if spec.out_gate:
            q, gate = q[..., : spec.head_dim], q[..., spec.head_dim :]
        if taps is not None:
            q = taps(self._tap + "q", q)
            k = None if k is None else taps(self._tap + "k", k)
            v = None if v is None else taps(self._tap + "v", v)
        q = self._placed(q, self.q_norm, step)
        if spec.q_temperature is not None:
            q = q * step.temperature(spec.q_temperature)
        if k is not None and v is not None:
            step.kv.write(self.layer, self._placed(k, self.k_norm, step), v if self.v_norm is None else self.v_norm(v))
        heads = attend_stored(q, layer=self.layer, spec=spec, step=step, sinks=self.sinks)
        if gate is not None:
            heads = heads * gate.sigmoid()
        if taps is not None:
            heads = taps(self._tap + "heads", heads)
        output: Tensor = self.o(heads.flatten(1))
        return output

    def _placed(self, x: Tensor, norm: Norm | None, step: Step) -> Tensor:
        """Queries or keys after their norm and rope, in the order that the description asks for."""
        spec = self.spec
        if norm is not None and not spec.qk_norm_after_rope:
            x = norm(x)
        if spec.rope is not None:
            x = rotate(x, step.rotations[spec.rope])
        return norm(x) if norm is not None and spec.qk_norm_after_rope else x

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Queries (with their gates), keys and values by head. A layer that uses another's keys and values has none."""
        spec = self.spec
        linears = [linear for linear in (self.q, self.k, self.v) if linear is not None]
        q, *keys = project(x, *linears)
        q = q.view(-1, spec.heads, 2 * spec.head_dim if spec.out_gate else spec.head_dim)
        if not keys:
            return q, None, None
        k, v = (y.view(-1, spec.kv_heads, spec.head_dim) for y in (keys[0], keys[-1]))
        return q, k, v


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, layer: int, spec: AttentionSpec, step: Step, sinks: Tensor | None = None
) -> Tensor:
    """Store a step's keys and values, then let each query attend to its own sequence's.

    `q` is [T, heads, head_dim], `k` and `v` [T, kv_heads, head_dim]; returns [T, heads, head_dim].
    """
    step.kv.write(layer, k, v)
    return attend_stored(q, layer=layer, spec=spec, step=step, sinks=sinks)


def attend_stored(q: Tensor, *, layer: int, spec: AttentionSpec, step: Step, sinks: Tensor | None = None) -> Tensor:
    """Let each query [T, heads, head_dim] attend to what the cache holds of its own sequence, itself included.

    Each sequence is computed alone, so a result does not depend on which others share the step.
    """
    kv = step.kv
    source = layer if spec.kv_source_layer is None else spec.kv_source_layer
    results = []
    for sequence, (start, stop) in enumerate(pairwise(kv.query_starts)):
        if start == stop:
            continue
        keys, values = kv.read(source, sequence)
        results.append(attend_one(q[start:stop], keys, values, layer=layer, spec=spec, step=step, sinks=sinks))
    return results[0] if len(results) == 1 else torch.cat(results)


def attend_one(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    layer: int,
    spec: AttentionSpec | LatentAttentionSpec,
    step: Step,
    sinks: Tensor | None = None,
) -> Tensor:
    """One sequence: its last `n` queries [n, heads, head_dim] against all its keys [L, kv_heads, head_dim].

    Returns [n, heads, width], as wide as `values` [L, kv_heads, width].
    """
    queries, length = q.shape[0], keys.shape[0]
    past = length - queries
    point = f"blocks.{layer}.attn.probs"
    if step.taps is not None and step.taps.wants(point):
        scores = _scores(q, keys, first_query=past, first_key=0, spec=spec, step=step)
        probs = step.taps(point, _softmax(scores, sinks).flatten(0, 1)).view_as(scores)
        return _mix(probs, values)
    results = []
    for start in range(past - past % _ROWS, length, _ROWS):
        stop = start + _ROWS
        first, last, low = max(start, past), min(stop, length), first_visible_key(spec.mask, start)
        tile = functional.pad(q[first - past : last - past], (0, 0, 0, 0, first - start, stop - last))
        near_keys, near_values = (functional.pad(x[low:last], (0, 0, 0, 0, 0, stop - last)) for x in (keys, values))
        scores = _scores(tile, near_keys, first_query=start, first_key=low, spec=spec, step=step)
        results.append(_mix(_softmax(scores, sinks), near_values)[first - start : last - start])
    return results[0] if len(results) == 1 else torch.cat(results)


def _scores(
    q: Tensor,
    keys: Tensor,
    *,
    first_query: int,
    first_key: int,
    spec: AttentionSpec | LatentAttentionSpec,
    step: Step,
) -> Tensor:
    """Masked scores [kv_heads, group, queries, keys]."""
    queries = q.shape[0]
    grouped = (q * spec.scale).view(queries, spec.kv_heads, -1, spec.head_dim).permute(1, 2, 0, 3)
    scores = grouped.flatten(1, 2) @ keys.permute(1, 2, 0)
    if spec.softcap is not None:
        scores = torch.tanh(scores / spec.softcap) * spec.softcap
    scores = scores.view(spec.kv_heads, -1, queries, scores.shape[-1])
    return scores.masked_fill(step.mask(spec.mask, first_query, queries, first_key), -torch.inf)


def _softmax(scores: Tensor, sinks: Tensor | None) -> Tensor:
    if sinks is None:
        return scores.softmax(-1)
    kv_heads, group, queries, _ = scores.shape
    column = sinks.view(kv_heads, group, 1, 1).expand(-1, -1, queries, 1)
    return torch.cat((scores, column), dim=-1).softmax(-1)[..., :-1]


def _mix(probs: Tensor, values: Tensor) -> Tensor:
    """Probabilities [kv_heads, group, queries, keys] times values: [queries, heads, head_dim]."""
    kv_heads, group, queries, _ = probs.shape
    mixed = probs.flatten(1, 2) @ values.permute(1, 0, 2)
    return mixed.view(kv_heads, group, queries, -1).permute(2, 0, 1, 3).flatten(1, 2)
