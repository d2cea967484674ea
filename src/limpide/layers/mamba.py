"""Mamba-2's selective state space (arXiv:2405.21060), in its chunked form."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.linear import Linear
from limpide.layers.recurrence import Convolution, recur
from limpide.layers.spec import RUN, Mamba2Spec
from limpide.layers.step import Step
from limpide.layers.weights import Weights


class Mamba2(nn.Module):
    """Projection to gate, input, write and read vectors and time steps; convolution; state space; gated norm."""

    def __init__(self, spec: Mamba2Spec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.spec = spec
        self.layer = layer
        self.input = Linear(weights.at("input"), bias=spec.bias)
        self.conv = Convolution(weights.at("conv"), bias=spec.conv_bias)
        self.dt_bias = nn.Parameter(weights.vector("dt_bias"), requires_grad=False)
        self.decay = nn.Parameter(weights.vector("decay"), requires_grad=False)
        """A of each head, below zero: per unit of time, the state is multiplied by its exponential."""
        self.skip = nn.Parameter(weights.vector("skip"), requires_grad=False)
        """D of each head: how much of its input goes past the state."""
        self.norm = nn.Parameter(weights.expanded("norm.weight"), requires_grad=False)
        self.o = Linear(weights.at("o"), bias=spec.bias)
        self._hidden = torch.ones(RUN, RUN, dtype=torch.bool).triu(1)
        self._tap = f"blocks.{layer}.attn."

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """[T, hidden] to [T, hidden]; takes each sequence's state on."""
        spec = self.spec
        projected = self.input(x)
        gate, dt = projected[:, : spec.inner], projected[:, spec.inner + spec.channels :]
        heads = recur(
            projected[:, spec.inner : spec.inner + spec.channels],
            dt,
            layer=self.layer,
            shapes=spec.state_shapes,
            step=step,
            convolution=self.conv,
            run=self._run,
        )
        if step.taps is not None:
            heads = step.taps(self._tap + "heads", heads)
        output: Tensor = self.o(self._gated_norm(heads.flatten(1), gate))
        return output

    def _run(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Results [RUN, heads, head_dim] of a run of inputs, and the state [heads, head_dim, state] after it.

        Within the run a result is masked attention over the run's inputs, as the paper's duality says; what came
        before is in the state.
        """
        spec, width = self.spec, self.spec.groups * self.spec.state
        convolved = functional.silu(inputs[:, : spec.channels])
        x = convolved[:, : spec.inner].view(RUN, spec.heads, spec.head_dim)
        write = self._per_head(convolved[:, spec.inner : spec.inner + width])
        read = self._per_head(convolved[:, spec.inner + width :])
        dt = functional.softplus(inputs[:, spec.channels :] + self.dt_bias)
        faded = (dt * self.decay).cumsum(0).T  # logarithm of what is left since the run began, [heads, RUN]
        between = (faded[:, :, None] - faded[:, None, :]).masked_fill(self._hidden, -torch.inf).exp()
        given = (x * dt[:, :, None]).transpose(0, 1)
        inside = (read @ write.transpose(1, 2) * between) @ given
        before = (read * faded.exp()[:, :, None]) @ state.transpose(1, 2)
        result = (inside + before).transpose(0, 1) + x * self.skip[:, None]
        to_end = (faded[:, -1:] - faded).exp()[:, :, None]
        after = state * faded[:, -1].exp()[:, None, None] + (given * to_end).transpose(1, 2) @ write
        return result, after

    def _per_head(self, vectors: Tensor) -> Tensor:
        """Each group's vectors for its heads: [RUN, groups · state] to [heads, RUN, state]."""
        spec = self.spec
        grouped = vectors.view(RUN, spec.groups, spec.state).transpose(0, 1)
        return grouped.repeat_interleave(spec.heads // spec.groups, dim=0)

    def _gated_norm(self, x: Tensor, gate: Tensor) -> Tensor:
        grouped = (x * functional.silu(gate)).view(len(x), self.spec.groups, -1)
        return (functional.rms_norm(grouped, grouped.shape[2:], eps=self.spec.norm.eps) * self.norm).flatten(1)
