"""One decoder block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from limpide.layers.spec.attention import AttentionSpec
from limpide.layers.spec.checks import one_of, require
from limpide.layers.spec.latent import LatentAttentionSpec
from limpide.layers.spec.mlp import MLPSpec
from limpide.layers.spec.moe import MoESpec
from limpide.layers.spec.norm import NormSpec
from limpide.layers.spec.recurrent import DeltaNetSpec, Mamba2Spec

MixerSpec = AttentionSpec | LatentAttentionSpec | Mamba2Spec | DeltaNetSpec
"""What lets a token see those before it."""


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One decoder block.

    Modules of other kinds are specs of their own: latent attention, Mamba-2 and gated DeltaNet in the place of
    `attention`, a mixture of experts in that of `feed_forward`.
    """

    attention: MixerSpec
    feed_forward: MLPSpec | MoESpec
    norm: NormSpec
    placement: Literal["pre", "sandwich"] = "pre"
    """Norm before each sublayer, or before and after."""
    residual_scale: float = 1.0
    """What each sublayer's output is multiplied by before it joins the residual stream."""
    per_layer_input: int = 0
    """Width of the block's own part of a second embedding, which it mixes in at its end (Gemma 3n, 4). 0: none."""
    experts_beside: MoESpec | None = None
    """A mixture of experts beside the MLP, which reads the residual stream through norms of its own (Gemma 4)."""
    layer_scalar: bool = False
    """The block's result is multiplied by one stored number (Gemma 4)."""

    def __post_init__(self) -> None:
        require(self.per_layer_input >= 0, "block.per_layer_input", self.per_layer_input, "zero or above")
        one_of("block.placement", self.placement, ("pre", "sandwich"))
        for switch, value, kinds in (
            ("block.attention", self.attention, get_args(MixerSpec)),
            ("block.feed_forward", self.feed_forward, (MLPSpec, MoESpec)),
        ):
            require(isinstance(value, kinds), switch, value, " or ".join(kind.__name__ for kind in kinds))
        beside = self.experts_beside is None or isinstance(self.feed_forward, MLPSpec)
        require(beside, "block.experts_beside", self.experts_beside, "an MLP in feed_forward")

    @property
    def mixture(self) -> MoESpec | None:
        """The block's experts, wherever they are."""
        return self.feed_forward if isinstance(self.feed_forward, MoESpec) else self.experts_beside
