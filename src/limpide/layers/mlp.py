"""The feed-forward sublayer: two matrices, or three with a gate (GLU variants, arXiv:2002.05202)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.linear import Linear, project
from limpide.layers.spec import Activation, MLPSpec
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
        self._act = ACTIVATION_FUNCTIONS[spec.activation]
        self._tap = f"blocks.{layer}.mlp."

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """[T, hidden] to [T, hidden]."""
        taps = step.taps
        gate, up = self._project(x)
        if taps is not None:
            gate = None if gate is None else taps(self._tap + "gate", gate)
            up = taps(self._tap + "up", up)
        neurons = self._act(up) if gate is None else self._act(gate) * up
        if taps is not None:
            neurons = taps(self._tap + "neurons", neurons)
        output: Tensor = self.down(neurons)
        return output

    def _project(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        if self.gate is None:
            return None, self.up(x)
        gate, up = project(x, self.gate, self.up)
        return gate, up
