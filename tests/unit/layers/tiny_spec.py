"""A small model straight from a description, for tests of single layers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from limpide.cache import PlainKV
from limpide.layers.taps import Taps
from limpide.layers.weights import Weights
from limpide.models import CausalLM
from limpide.models.parameters import parameters
from limpide.models.spec import AttentionSpec, BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec

HIDDEN = 24
NORM = NormSpec(1e-5)


def attention(**changes: object) -> AttentionSpec:
    settings = {"heads": 4, "kv_heads": 2, "head_dim": 6, "scale": 0.4, "rope": RopeSpec(1e4, 6)} | changes
    return AttentionSpec(**settings)  # type: ignore[arg-type]


def spec(blocks: int = 3, **attention_changes: object) -> ModelSpec:
    block = BlockSpec(attention(**attention_changes), MLPSpec(20), NORM)
    return ModelSpec("test", 31, HIDDEN, 64, blocks=(block,) * blocks, norm=NORM, tied=False)


def sandwich_spec() -> ModelSpec:
    block = BlockSpec(
        attention(mask=MaskSpec("window", 5), qk_norm=NORM),
        MLPSpec(20, "gelu_tanh"),
        NORM,
        placement="sandwich",
        residual_scale=0.7,
    )
    return ModelSpec("test", 31, HIDDEN, 64, blocks=(block,) * 3, norm=NORM, tied=True, final_softcap=5.0)


def sharing_spec(**last_layer: object) -> ModelSpec:
    """Values that are keys, a layer without keys of its own, and a second embedding that every block mixes in."""
    switches = {"per_layer_input": 8, "layer_scalar": True}
    v_norm = NormSpec(1e-5, weighted=False)
    first, second, third = (
        BlockSpec(attention(qk_norm=NORM, v_norm=v_norm, **changes), MLPSpec(20), NORM, **switches)  # type: ignore[arg-type]
        for changes in ({"k_eq_v": True}, {}, {"kv_source_layer": 0} | last_layer)
    )
    blocks = (first, second, third)
    if last_layer.get("kv_source_layer") == 1:  # of a layer that shares already
        blocks = (first, third, replace(third, attention=replace(third.attention, kv_source_layer=1)))
    return ModelSpec("test", 31, HIDDEN, 64, blocks=blocks, norm=NORM, tied=False, per_layer_embedding=8)


def make_model(spec: ModelSpec, seed: int = 0) -> CausalLM:
    """Random weights, the same for the same description and seed."""
    generator = torch.Generator().manual_seed(seed)
    weights = {name: torch.randn(shape, generator=generator) * 0.5 for name, shape in parameters(spec).items()}
    return CausalLM(spec, Weights(weights))


def tokens(count: int) -> Tensor:
    return torch.randint(0, 31, (count,), generator=torch.Generator().manual_seed(count))


def run(model: CausalLM, ids: Tensor, taps: Taps | None = None) -> Tensor:
    """Logits [T, vocab] of one plain pass."""
    with torch.inference_mode():
        hidden = model(ids, torch.arange(len(ids)), PlainKV([len(ids)]), taps=taps)
        return model.logits(hidden, taps=taps)
