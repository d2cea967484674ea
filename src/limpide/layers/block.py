"""A decoder block: attention and feed-forward, each normed and added to the residual stream."""

from __future__ import annotations

from torch import Tensor, nn

from limpide.layers.attention import Attention
from limpide.layers.deltanet import DeltaNet
from limpide.layers.fused import FusedBlock
from limpide.layers.mamba import Mamba2
from limpide.layers.mla import LatentAttention
from limpide.layers.mlp import MLP
from limpide.layers.moe import ExpertsBeside, MoE
from limpide.layers.norm import make_norm
from limpide.layers.per_layer import PerLayerUpdate
from limpide.layers.spec import (
    BlockSpec,
    DeltaNetSpec,
    LatentAttentionSpec,
    Mamba2Spec,
    MixerSpec,
    MLPSpec,
    MoESpec,
)
from limpide.layers.step import Step
from limpide.layers.weights import Weights


class Block(nn.Module):
    """One decoder block as its BlockSpec says."""

    def __init__(self, spec: BlockSpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.spec = spec
        self.attn = _mixer(spec.attention, weights.at("attn"), layer)
        self.mlp = _feed_forward(spec.feed_forward, weights.at("mlp"), layer)
        self.attn_norm = make_norm(spec.norm, weights.at("attn_norm"))
        self.mlp_norm = make_norm(spec.norm, weights.at("mlp_norm"))
        sandwich = spec.placement == "sandwich"
        self.attn_post_norm = make_norm(spec.norm, weights.at("attn_post_norm")) if sandwich else None
        self.mlp_post_norm = make_norm(spec.norm, weights.at("mlp_post_norm")) if sandwich else None
        beside, where = spec.experts_beside, weights.at("beside")
        self.beside = ExpertsBeside(beside, spec.norm, where, layer) if beside is not None else None
        self.per_layer = PerLayerUpdate(spec.norm, weights.at("per_layer")) if spec.per_layer_input else None
        self.scalar = nn.Parameter(weights.vector("scalar"), requires_grad=False) if spec.layer_scalar else None
        self._layer = layer
        self._tap = f"blocks.{layer}."
        self.fused = FusedBlock.of(self)

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """The residual stream [T, hidden], before and after; `x` itself may be changed when `step.fused`."""
        if step.fused and self.fused is not None:
            return self.fused(x, step)
        taps, here = step.taps, self._tap
        normed = self.attn_norm(x)
        if taps is not None:
            normed = taps(here + "attn.input", normed)
        output = self.attn(normed, step)
        if taps is not None:
            output = taps(here + "attn.output", output)
        update = self._update(output, self.attn_post_norm)
        if taps is not None:
            update = taps(here + "attn.update", update)
        x = x + update
        if taps is not None:
            x = taps(here + "mid", x)
        normed = self.mlp_norm(x)
        if taps is not None:
            normed = taps(here + "mlp.input", normed)
        output = self.mlp(normed, step)
        if self.beside is not None:
            output = self.beside(output, x, step)
        if taps is not None:
            output = taps(here + "mlp.output", output)
        update = self._update(output, self.mlp_post_norm)
        if taps is not None:
            update = taps(here + "mlp.update", update)
        x = x + update
        if self.per_layer is not None:
            x = self._with_per_layer(x, step)
        if self.scalar is not None:
            x = x * self.scalar
        return x if taps is None else taps(here + "output", x)

    def _with_per_layer(self, x: Tensor, step: Step) -> Tensor:
        if self.per_layer is None or step.per_layer is None:
            raise AssertionError("the block wants its part of a second embedding")
        update: Tensor = self.per_layer(x, step.per_layer[:, self._layer])
        if step.taps is not None:
            update = step.taps(self._tap + "per_layer.update", update)
        return x + update

    def _update(self, output: Tensor, post_norm: nn.Module | None) -> Tensor:
        if post_norm is not None:
            output = post_norm(output)
        return output if self.spec.residual_scale == 1.0 else output * self.spec.residual_scale


def _mixer(spec: MixerSpec, weights: Weights, layer: int) -> Attention | LatentAttention | Mamba2 | DeltaNet:
    if isinstance(spec, LatentAttentionSpec):
        return LatentAttention(spec, weights, layer)
    if isinstance(spec, Mamba2Spec):
        return Mamba2(spec, weights, layer)
    if isinstance(spec, DeltaNetSpec):
        return DeltaNet(spec, weights, layer)
    return Attention(spec, weights, layer)


def _feed_forward(spec: MLPSpec | MoESpec, weights: Weights, layer: int) -> MLP | MoE:
    return MoE(spec, weights, layer) if isinstance(spec, MoESpec) else MLP(spec, weights, layer)
