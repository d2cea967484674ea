"""Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): one compressed vector per token for all heads."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.attention import attend_one
from limpide.layers.linear import Linear, project
from limpide.layers.norm import make_norm
from limpide.layers.rope import rotate
from limpide.layers.spec import LatentAttentionSpec
from limpide.layers.step import Step
from limpide.layers.weights import Weights
from limpide.quant.multiply import MIN_ROWS


class LatentAttention(nn.Module):
    """Queries look for latents, not for keys, and values are made of what was found.

    A head's score is q · (K c) = (Kᵀ q) · c with a token's latent c, and its result is V Σ p c: the matrices that make
    keys and values of latents are applied to the queries and to the results. So keys and values of the past are never
    made, and of each token the cache holds its latent and one key part with positions.
    """

    def __init__(self, spec: LatentAttentionSpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.spec = spec
        self.layer = layer
        if spec.q_latent is None:
            self.q = Linear(weights.at("q"))
        else:
            self.q_down = Linear(weights.at("q_down"), bias=spec.bias)
            self.q_norm = make_norm(spec.latent_norm, weights.at("q_norm"))
            self.q_up = Linear(weights.at("q_up"))
        self.kv_down = Linear(weights.at("kv_down"), bias=spec.bias)
        self.kv_norm = make_norm(spec.latent_norm, weights.at("kv_norm"))
        keys, values = _per_head(spec, weights)
        self.k_up = nn.Parameter(keys, requires_grad=False)
        """Kᵀ of each head, [heads, kv_latent, nope_dim]."""
        self.v_up = nn.Parameter(values, requires_grad=False)
        """V of each head, [heads, value_dim, kv_latent]."""
        self.o = Linear(weights.at("o"), bias=spec.bias)
        self._tap = f"blocks.{layer}.attn."

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """[T, hidden] to [T, hidden]; writes the step's latents to the cache."""
        spec, taps = self.spec, step.taps
        q, latent, key = self._project(x)
        if taps is not None:
            q, latent = taps(self._tap + "q", q), taps(self._tap + "latent", latent)
        rotation = step.rotations[spec.rope]
        nope, rope = q[..., : spec.nope_dim], q[..., spec.nope_dim :]
        q = torch.cat((_each_head(self.k_up, nope), rotate(rope, rotation)), dim=-1)
        if spec.q_temperature is not None:
            q = q * step.temperature(spec.q_temperature)
        stored = torch.cat((latent[:, None], rotate(key[:, None], rotation)), dim=-1)
        heads = _each_head(self.v_up, self._attend(q, stored, step))
        if taps is not None:
            heads = taps(self._tap + "heads", heads)
        output: Tensor = self.o(heads.flatten(1))
        return output

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [T, heads, nope + rope], normed latents [T, kv_latent] and shared key parts [T, rope]."""
        spec = self.spec
        if spec.q_latent is None:
            q, kv = project(x, self.q, self.kv_down)
        else:
            down, kv = project(x, self.q_down, self.kv_down)
            q = self.q_up(self.q_norm(down))
        latent, key = kv[:, : spec.kv_latent], kv[:, spec.kv_latent :]
        return q.view(-1, spec.heads, spec.nope_dim + spec.rope.dims), self.kv_norm(latent), key

    def _attend(self, q: Tensor, stored: Tensor, step: Step) -> Tensor:
        """Mixed latents [T, heads, kv_latent] for queries [T, heads, kv_latent + rope]."""
        kv, latent = step.kv, self.spec.kv_latent
        kv.write(self.layer, stored, stored[..., :0])
        results = []
        for sequence, (start, stop) in enumerate(pairwise(kv.query_starts)):
            if start == stop:
                continue
            keys, _ = kv.read(self.layer, sequence)
            values = keys[..., :latent]
            results.append(attend_one(q[start:stop], keys, values, layer=self.layer, spec=self.spec, step=step))
        return results[0] if len(results) == 1 else torch.cat(results)


def _each_head(matrices: Tensor, x: Tensor) -> Tensor:
    """Each head's matrix [heads, out, in] times its part of x [T, heads, in]: [T, heads, out]."""
    rows = x.shape[0]
    if rows < MIN_ROWS:
        x = functional.pad(x, (0, 0, 0, 0, 0, MIN_ROWS - rows))
    return torch.bmm(x.transpose(0, 1), matrices.transpose(1, 2)).transpose(0, 1)[:rows]


def _per_head(spec: LatentAttentionSpec, weights: Weights) -> tuple[Tensor, Tensor]:
    """What makes keys and values of latents, per head, in float32: about one weight in a hundred of a large model."""
    if not spec.joint_up:
        return weights.at("k_up").expanded("weight"), weights.at("v_up").expanded("weight")
    joint = weights.at("kv_up").expanded("weight").view(spec.heads, spec.nope_dim + spec.value_dim, spec.kv_latent)
    return joint[:, : spec.nope_dim].transpose(1, 2), joint[:, spec.nope_dim :]
