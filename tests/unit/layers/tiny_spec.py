"""A small model straight from a description, for tests of single layers."""

from __future__ import annotations

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
