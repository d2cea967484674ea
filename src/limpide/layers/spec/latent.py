"""Multi-head latent attention."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from limpide.layers.spec.attention import MaskSpec, QueryTemperature
from limpide.layers.spec.checks import positive, require
from limpide.layers.spec.norm import NormSpec
from limpide.layers.spec.rope import RopeSpec


@dataclass(frozen=True, slots=True)
class LatentAttentionSpec:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434).

    Keys and values of all heads are made from one latent vector per token, and only that is kept, beside one key part
    with positions that all heads share. To the cache it is one key of `kv_latent` + rope dims, and no value.
    """

    heads: int
    kv_latent: int
    """Width of what keys and values are made of."""
    nope_dim: int
    """Width of a head's queries and keys without positions."""
    value_dim: int
    """Width of a head's values."""
    scale: float
    rope: RopeSpec
    """On the part with positions, which is `rope.dims` wide."""
    latent_norm: NormSpec
    q_latent: int | None = None
    """Width of what queries are made of; None: they are projected at once."""
    mask: MaskSpec = field(default_factory=MaskSpec)
    bias: bool = False
    """On the projections down to the latents and on the output projection."""
    q_temperature: QueryTemperature | None = None
    """What queries are multiplied by after rope (Mistral 4)."""
    joint_up: bool = True
    """One matrix for the keys and values of all heads. False: two, per head, and the keys' is transposed."""

    def __post_init__(self) -> None:
        positive("attention", self, "heads", "kv_latent", "nope_dim", "value_dim")
        require(isfinite(self.scale), "attention.scale", self.scale, "a finite number")
        require(self.q_latent is None or self.q_latent > 0, "attention.q_latent", self.q_latent, "above zero, or None")

    @property
    def kv_heads(self) -> int:
        """All heads share what is kept of a token."""
        return 1

    @property
    def head_dim(self) -> int:
        """Width of what is kept of a token."""
        return self.kv_latent + self.rope.dims

    @property
    def softcap(self) -> None:
        """Scores are taken as they are."""
        return None
