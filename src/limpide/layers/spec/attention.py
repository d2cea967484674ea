"""Grouped-query attention: heads, what they see, and how queries change with their position."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from limpide.layers.spec.checks import one_of, positive, require
from limpide.layers.spec.norm import NormSpec
from limpide.layers.spec.rope import RopeSpec


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """Which earlier keys a query sees: all, the last `size` (itself included), or those of its own chunk of `size`."""

    kind: Literal["full", "window", "chunk"] = "full"
    size: int = 0

    def __post_init__(self) -> None:
        one_of("mask.kind", self.kind, ("full", "window", "chunk"))
        require(
            (self.size > 0) == (self.kind != "full"),
            "mask.size",
            self.size,
            "above zero for a window or a chunk, else 0",
        )


@dataclass(frozen=True, slots=True)
class QueryTemperature:
    """Queries grow with their position: times 1 + beta · ln(1 + ⌊(position + offset) / period⌋)."""

    beta: float
    period: int
    offset: int = 0

    def __post_init__(self) -> None:
        positive("attention.q_temperature", self, "period")
        require(self.offset >= 0, "attention.q_temperature.offset", self.offset, "zero or above")


@dataclass(frozen=True, slots=True)
class AttentionSpec:
    """Grouped-query attention. Latent attention and state-space mixers are specs of their own beside this one."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    """What queries times keys are multiplied by, usually 1/√head_dim."""
    rope: RopeSpec | None = None
    """None: this layer has no positions of its own."""
    mask: MaskSpec = field(default_factory=MaskSpec)
    qk_norm: NormSpec | None = None
    """Norm of each head's queries and keys."""
    qk_norm_after_rope: bool = False
    v_norm: NormSpec | None = None
    """Norm of each head's values."""
    softcap: float | None = None
    """Scores become softcap · tanh(scores / softcap) before the mask."""
    sinks: bool = False
    """One learned logit per head that takes part in the softmax and is then dropped."""
    qkv_bias: bool = False
    out_bias: bool = False
    q_temperature: QueryTemperature | None = None
    """What queries are multiplied by after rope (Llama 4, Ministral 3)."""
    kv_source_layer: int | None = None
    """Attend to the keys and values of this earlier layer; the layer has none of its own (Gemma 4)."""
    out_gate: bool = False
    """Each head's queries are projected together with a gate, whose sigmoid multiplies the head's result."""
    k_eq_v: bool = False
    """Values are the keys as projected, before their norm and rope (Gemma 4)."""

    def __post_init__(self) -> None:
        source = self.kv_source_layer
        require(source is None or source >= 0, "attention.kv_source_layer", source, "a layer's number")
        ok = self.heads > 0 and self.kv_heads > 0 and self.head_dim > 0 and self.heads % self.kv_heads == 0
        shape = (self.heads, self.kv_heads, self.head_dim)
        require(ok, "attention heads, kv_heads, head_dim", shape, "above zero, heads a multiple of kv_heads")
        require(isfinite(self.scale), "attention.scale", self.scale, "a finite number")
        require(self.softcap is None or self.softcap > 0, "attention.softcap", self.softcap, "a number above zero")
        if self.rope is not None:
            require(self.rope.dims <= self.head_dim, "rope.dims", self.rope.dims, f"at most head_dim {self.head_dim}")
