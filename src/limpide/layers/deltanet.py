"""Linear attention by the gated delta rule (arXiv:2412.06464), in its chunked form."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.linear import Linear, project
from limpide.layers.recurrence import Convolution, recur
from limpide.layers.spec import RUN, DeltaNetSpec
from limpide.layers.step import Step
from limpide.layers.weights import Weights

_UNIT_EPS = 1e-6
"""Of the norm that makes queries and keys one long."""


class DeltaNet(nn.Module):
    """Each head keeps a matrix from keys to values. A token lets it fade, then corrects what it says for its key."""

    def __init__(self, spec: DeltaNetSpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.spec = spec
        self.layer = layer
        self.qkv = Linear(weights.at("qkv"))
        self.gate = Linear(weights.at("gate"))
        self.rate = Linear(weights.at("rate"))
        """How far a token corrects the matrix: beta of each head, before its sigmoid."""
        self.dt = Linear(weights.at("dt"))
        """How long a token lets it fade: alpha of each head, before its softplus."""
        self.conv = Convolution(weights.at("conv"), bias=False)
        self.dt_bias = nn.Parameter(weights.vector("dt_bias"), requires_grad=False)
        self.decay = nn.Parameter(weights.vector("decay"), requires_grad=False)
        """Of each head, below zero: per unit of time, its matrix is multiplied by the exponential."""
        self.norm = nn.Parameter(weights.vector("norm.weight"), requires_grad=False)
        self.o = Linear(weights.at("o"))
        self._hidden = torch.ones(RUN, RUN, dtype=torch.bool).triu(1)
        self._tap = f"blocks.{layer}.attn."

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """[T, hidden] to [T, hidden]; takes each sequence's state on."""
        spec = self.spec
        qkv, gate, rate, dt = project(x, self.qkv, self.gate, self.rate, self.dt)
        heads = recur(
            qkv,
            torch.cat((rate, dt), dim=-1),
            layer=self.layer,
            shapes=spec.state_shapes,
            step=step,
            convolution=self.conv,
            run=self._run,
        )
        if step.taps is not None:
            heads = step.taps(self._tap + "heads", heads)
        normed = functional.rms_norm(heads, self.norm.shape, self.norm, self.spec.norm.eps)
        output: Tensor = self.o(normed.flatten(1) * functional.silu(gate))
        return output

    def _run(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Results [RUN, value_heads, value_dim] of a run of inputs, and the state [value_heads, key_dim, value_dim].

        A correction depends on those before it in the run. They are the solution of one triangular system, since what
        a token finds for its key is what the state had and what the others have written.
        """
        spec = self.spec
        width = spec.key_heads * spec.key_dim
        convolved = functional.silu(inputs[:, : spec.channels])
        q = self._per_head(_unit(convolved[:, :width].view(RUN, spec.key_heads, -1)) * spec.key_dim**-0.5)
        k = self._per_head(_unit(convolved[:, width : 2 * width].view(RUN, spec.key_heads, -1)))
        v = convolved[:, 2 * width :].view(RUN, spec.value_heads, -1).transpose(0, 1)
        rate, dt = inputs[:, spec.channels :].view(RUN, 2, spec.value_heads).permute(1, 2, 0)
        rate, time = rate.sigmoid(), functional.softplus(dt + self.dt_bias[:, None])
        faded = (time * self.decay[:, None]).cumsum(1)  # logarithm of what is left since the run began, [heads, RUN]
        between = (faded[:, :, None] - faded[:, None, :]).masked_fill(self._hidden, -torch.inf).exp()
        corrected = k * rate[:, :, None]
        left = faded.exp()[:, :, None]
        system = corrected @ k.transpose(1, 2) * between
        wanted = v * rate[:, :, None] - (corrected * left) @ state
        written = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
        result = (q @ k.transpose(1, 2) * between) @ written + (q * left) @ state
        to_end = (faded[:, -1:] - faded).exp()[:, :, None]
        after = state * left[:, -1:] + (k * to_end).transpose(1, 2) @ written
        return result.transpose(0, 1), after

    def _per_head(self, x: Tensor) -> Tensor:
        """Each key head's vectors for its value heads: [RUN, key_heads, key_dim] to [value_heads, RUN, key_dim]."""
        x, share = x.transpose(0, 1), self.spec.value_heads // self.spec.key_heads
        return x.repeat(share, 1, 1) if self.spec.tiled else x.repeat_interleave(share, dim=0)


def _unit(x: Tensor) -> Tensor:
    return x * (x.square().sum(-1, keepdim=True) + _UNIT_EPS).rsqrt()
