"""The feed-forward sublayer: two matrices, or three with a gate (GLU variants, arXiv:2002.05202)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.linear import Linear, project
from limpide.layers.spec import Activation, GateClamp, MLPSpec
from limpide.layers.step import Step
from limpide.layers.weights import Weights

ACTIVATION_FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "relu": functional.relu,
}


class MLP(nn.Module):
    """down(act(gate(x)) · up(x)), or down(act(up(x))) without a gate."""

    def __init__(self, spec: MLPSpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.gate = Linear(weights.at("gate"), bias=spec.bias) if spec.gated else None
        self.up = Linear(weights.at("up"), bias=spec.bias)
        self.down = Linear(weights.at("down"), bias=spec.bias)
        self._neurons = neurons_of(spec)
        self._tap = f"blocks.{layer}.mlp."

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """[T, hidden] to [T, hidden]."""
        taps = step.taps
        gate, up = self._project(x)
        if taps is not None:
            gate = None if gate is None else taps(self._tap + "gate", gate)
            up = taps(self._tap + "up", up)
        neurons = self._neurons(gate, up)
        if taps is not None:
            neurons = taps(self._tap + "neurons", neurons)
        output: Tensor = self.down(neurons)
        return output

    def _project(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        if self.gate is None:
            return None, self.up(x)
        gate, up = project(x, self.gate, self.up)
        return gate, up


Neurons = Callable[[Tensor | None, Tensor], Tensor]
"""From the gate, if there is one, and up, [T, width] each, to the neurons [T, width]."""


def neurons_of(spec: MLPSpec) -> Neurons:
    """What an MLP does between its matrices."""
    act, clamp = ACTIVATION_FUNCTIONS[spec.activation], spec.clamp
    if clamp is not None:
        return partial(_clamped, clamp)
    return lambda gate, up: act(up) if gate is None else act(gate) * up


def _clamped(clamp: GateClamp, gate: Tensor | None, up: Tensor) -> Tensor:
    if gate is None:
        raise TypeError("only a gated MLP is clamped")
    gate = gate.clamp(max=clamp.limit)
    return (up.clamp(-clamp.limit, clamp.limit) + 1) * gate * torch.sigmoid(gate * clamp.alpha)
