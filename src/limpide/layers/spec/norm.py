"""Norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpide.layers.spec.checks import one_of, require


@dataclass(frozen=True, slots=True)
class NormSpec:
    """A normalisation. An offset that a family adds to stored weights is folded in by the loader, so it is not here."""

    eps: float
    kind: Literal["rms", "layer"] = "rms"
    mul_in_fp32: bool = False
    """Multiply by the weight before rounding to the activations' type (Gemma), not after (Llama)."""
    bias: bool = False
    weighted: bool = True
    """False: only normalise, there is no weight in the checkpoint."""

    def __post_init__(self) -> None:
        one_of("norm.kind", self.kind, ("rms", "layer"))
        require(self.weighted or not self.bias, "norm.bias", self.bias, "no bias where there is no weight")
        require(0.0 <= self.eps < 1.0, "norm.eps", self.eps, "a small number, zero or above")
        require(self.kind == "layer" or not self.bias, "norm.bias", self.bias, "a bias in layer norms only")
