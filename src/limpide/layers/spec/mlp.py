"""The feed-forward part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpide.layers.spec.checks import one_of, positive, require

Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]
ACTIVATIONS: tuple[Activation, ...] = ("silu", "gelu", "gelu_tanh", "relu")


@dataclass(frozen=True, slots=True)
class GateClamp:
    """gpt-oss: gate = min(g, limit), up = clamp(u, ±limit), neurons = (up + 1) · gate · sigmoid(alpha · gate)."""

    alpha: float
    limit: float

    def __post_init__(self) -> None:
        positive("mlp.clamp", self, "alpha", "limit")


@dataclass(frozen=True, slots=True)
class MLPSpec:
    """Two matrices and an activation, or three with a gate: down(act(gate(x)) · up(x))."""

    width: int
    activation: Activation = "silu"
    gated: bool = True
    bias: bool = False
    clamp: GateClamp | None = None
    """Takes the activation's place."""

    def __post_init__(self) -> None:
        require(self.clamp is None or self.gated, "mlp.clamp", self.clamp, "a clamp in gated MLPs only")
        one_of("mlp.activation", self.activation, ACTIVATIONS)
        require(self.width > 0, "mlp.width", self.width, "above zero")
