"""Each distinctive feature of the dense families, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mutations import Change, attention, block, mlp, rope, swap_thetas, whole, window

from limpide.models import ModelSpec
from limpide.models.spec import MaskSpec, NormSpec, RopeSpec


def _everywhere(mask: MaskSpec) -> Change:
    return attention(lambda a: replace(a, mask=mask))


def _swapped(a: Any) -> Any:
    return replace(a, mask=MaskSpec("window", 8) if a.mask.kind == "full" else MaskSpec())


def _scaling(**changes: object) -> Change:
    return attention(lambda a: replace(a, rope=replace(a.rope, scaling=replace(a.rope.scaling, **changes))))


def _whole_head(a: Any) -> Any:
    rope = a.rope
    longer = {name: (*getattr(rope.scaling, name), 8.0, 8.0) for name in ("short_factor", "long_factor")}
    return replace(a, rope=replace(rope, dims=a.head_dim, scaling=replace(rope.scaling, **longer)))


def _always_short(a: Any) -> Any:
    short = a.rope.scaling.short_factor
    return replace(a, rope=replace(a.rope, scaling=replace(a.rope.scaling, long_factor=short)))


def _temperature(**changes: object) -> Change:
    return attention(lambda a: replace(a, q_temperature=replace(a.q_temperature, **changes)))


_WINDOW: dict[str, Change] = {
    "window": _everywhere(MaskSpec()),
    "window one shorter": window(-1),
    "window one longer": window(1),
}
_LAYERS: dict[str, Change] = {
    "layers without a window": _everywhere(MaskSpec("window", 8)),
    "which layers have a window": attention(_swapped),
}

_GRANITE: dict[str, Change] = {
    "attention multiplier": attention(lambda a: replace(a, scale=a.head_dim**-0.5)),
    "embedding multiplier": whole(embed_scale=1.0),
    "residual multiplier": block(residual_scale=1.0),
    "logits scaling": whole(logit_scale=1.0),
}


def _every_pair(a: Any) -> Any:
    return replace(a, rope=replace(a.rope, scaling=None)) if a.mask.kind == "full" else a


def _partial(a: Any) -> Any:
    """Rope on the first quarter of the head at that quarter's own frequencies: what others call partial."""
    return replace(a, rope=RopeSpec(a.rope.theta, a.head_dim // 4)) if a.mask.kind == "full" else a


def _another_source(a: Any) -> Any:
    return replace(a, kv_source_layer=0) if a.kv_source_layer == 2 else a


def _without_second_embedding(spec: ModelSpec) -> ModelSpec:
    blocks = tuple(replace(b, per_layer_input=0) for b in spec.blocks)
    return replace(spec, per_layer_embedding=0, blocks=blocks)


_GEMMA4: dict[str, Change] = {
    "sandwich norms": block(placement="pre"),
    "query and key norms": attention(lambda a: replace(a, qk_norm=None)),
    "value norm": attention(lambda a: replace(a, v_norm=None)),
    "scale 1": attention(lambda a: replace(a, scale=a.head_dim**-0.5)),
    "pairs that don't turn": attention(_every_pair),
    "their frequencies": attention(_partial),
    "layer scalar": block(layer_scalar=False),
    "embedding scale": whole(embed_scale=1.0),
    "final softcap": whole(final_softcap=None),
    "activation": mlp(activation="silu"),
    "theta per layer type": swap_thetas,
    **_WINDOW,
}

DENSE_MUTATIONS: dict[str, dict[str, Change]] = {
    "reka": {"theta": rope(theta=1e4)},
    "qwen2": {"qkv bias": attention(lambda a: replace(a, qkv_bias=False))},
    "qwen2-windows": {**_WINDOW, **_LAYERS},
    "qwen3": {
        "query and key norms": attention(lambda a: replace(a, qk_norm=None)),
        "norms before rope": attention(lambda a: replace(a, qk_norm_after_rope=True)),
        "scale by head size": attention(lambda a: replace(a, scale=8**-0.5)),
    },
    "mistral": {"scale by head size": attention(lambda a: replace(a, scale=8**-0.5))},
    "mistral-small": {"scale by head size": attention(lambda a: replace(a, scale=8**-0.5))},
    "mistral-in-a-wrapper": {"scale by head size": attention(lambda a: replace(a, scale=8**-0.5))},
    "mistral-window": _WINDOW,
    "ministral": {**_WINDOW, **_LAYERS},
    "ministral3": {
        "temperature": attention(lambda a: replace(a, q_temperature=None)),
        "temperature counts from 0": _temperature(offset=1),
        "temperature's period": _temperature(period=8),
        "scaling": rope(scaling=None),
        "attention factor": _scaling(mscale=None),
        "beta": _scaling(beta_fast=32.0),
    },
    "gemma": {
        "embedding scale": whole(embed_scale=1.0),
        "tanh in gelu": mlp(activation="gelu"),
    },
    "gemma2": {
        "sandwich norms": block(placement="pre"),
        "attention softcap": attention(lambda a: replace(a, softcap=None)),
        "final softcap": whole(final_softcap=None),
        "embedding scale": whole(embed_scale=1.0),
        "activation": mlp(activation="silu"),
        **_WINDOW,
        **_LAYERS,
    },
    "gemma2-scale": {"attention scale": attention(lambda a: replace(a, scale=a.head_dim**-0.5))},
    "granite": _GRANITE,
    "granite4-dense": {**_GRANITE, "rope": attention(lambda a: replace(a, rope=None))},
    "granite4-nope": {"no rope": attention(lambda a: replace(a, rope=RopeSpec(1e4, a.head_dim)))},
    "smollm3": {"layers without rope": attention(lambda a: replace(a, rope=RopeSpec(2e6, a.head_dim)))},
    "smollm3-listed": {
        "layers without rope": attention(lambda a: replace(a, rope=RopeSpec(2e6, a.head_dim))),
        **_WINDOW,
        **_LAYERS,
    },
    "phi3": _WINDOW,
    "phi3-long": {
        "rope on a part": attention(_whole_head),
        "long factors": attention(_always_short),
        "attention factor": _scaling(attention_factor=1.0),
    },
    "phi3-short": {"scaling": rope(scaling=None), "attention factor": _scaling(attention_factor=1.0)},
    "gpt2": {
        "learned positions": whole(learned_positions=False),
        "layer norms": block(norm=NormSpec(1e-5)),
        "bias of layer norms": block(norm=NormSpec(1e-5, kind="layer")),
        "final layer norm": whole(norm=NormSpec(1e-5)),
        "qkv bias": attention(lambda a: replace(a, qkv_bias=False)),
        "output bias": attention(lambda a: replace(a, out_bias=False)),
        "mlp bias": mlp(bias=False),
        "tanh in gelu": mlp(activation="gelu"),
    },
    "gemma4-small": {
        **_GEMMA4,
        "which layer's keys are used": attention(_another_source),
        "a second embedding": _without_second_embedding,
    },
    "gemma4-large": _GEMMA4,
    "gemma4-in-a-wrapper": {
        "theta per layer type": swap_thetas,
        "final softcap": whole(final_softcap=None),
        "a second embedding": _without_second_embedding,
        **_WINDOW,
    },
    "gemma3-in-a-wrapper": {"theta per layer type": swap_thetas, "embedding scale": whole(embed_scale=1.0), **_WINDOW},
}
