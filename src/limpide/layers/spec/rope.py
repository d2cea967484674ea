"""Rotary positions, and the rules by which they are stretched over longer texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpide.layers.spec.checks import one_of, positive, require


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """Positions divided by `factor` (position interpolation, arXiv:2306.15595)."""

    factor: float

    def __post_init__(self) -> None:
        positive("rope.scaling", self, "factor")


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Low frequencies slowed by `factor`, high ones kept, a smooth blend between (Llama 3.1)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int

    def __post_init__(self) -> None:
        positive("rope.scaling", self, "factor", "low_freq_factor", "high_freq_factor", "original_context")


@dataclass(frozen=True, slots=True)
class YarnScaling:
    """YaRN (arXiv:2309.00071). `attention_factor` None is computed as the paper says, or from the mscale pair."""

    factor: float
    original_context: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True

    def __post_init__(self) -> None:
        positive("rope.scaling", self, "factor", "original_context", "beta_fast", "beta_slow")


@dataclass(frozen=True, slots=True)
class LongRopeScaling:
    """LongRoPE (arXiv:2402.13753): one divisor per frequency, one set for short and one for long sequences."""

    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    original_context: int
    factor: float
    """Extended context over original context."""
    attention_factor: float | None = None

    def __post_init__(self) -> None:
        positive("rope.scaling", self, "factor")
        require(self.original_context > 1, "rope.scaling.original_context", self.original_context, "above one")


@dataclass(frozen=True, slots=True)
class DivisorScaling:
    """One divisor per frequency, as GGUF files carry them in `rope_freqs.weight`."""

    divisors: tuple[float, ...]


RopeScaling = LinearScaling | Llama3Scaling | YarnScaling | LongRopeScaling | DivisorScaling


@dataclass(frozen=True, slots=True)
class RopeSpec:
    """Rotary positions (arXiv:2104.09864) on the first `dims` of each head."""

    theta: float
    dims: int
    style: Literal["half", "interleaved"] = "half"
    """Pairs are (i, i + dims/2), or (2i, 2i + 1)."""
    scaling: RopeScaling | None = None

    def __post_init__(self) -> None:
        one_of("rope.style", self.style, ("half", "interleaved"))
        require(self.theta > 1, "rope.theta", self.theta, "a number above one")
        require(self.dims > 0 and self.dims % 2 == 0, "rope.dims", self.dims, "an even number above zero")
        for name in ("divisors", "short_factor", "long_factor"):
            factors = getattr(self.scaling, name, None)
            ok = factors is None or (len(factors) == self.dims // 2 and all(f > 0 for f in factors))
            require(ok, f"rope.scaling.{name}", factors, f"{self.dims // 2} numbers above zero")
