"""Each distinctive feature of the dense families, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mutations import Change, attention, block, mlp, rope, whole, window

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

DENSE_MUTATIONS: dict[str, dict[str, Change]] = {
    "reka": {"theta": rope(theta=1e4)},
    "qwen2": {"qkv bias": attention(lambda a: replace(a, qkv_bias=False))},
    "qwen2-windows": {**_WINDOW, **_LAYERS},
    "qwen3": {
        "query and key norms": attention(lambda a: replace(a, qk_norm=None)),
        "norms before rope": attention(lambda a: replace(a, qk_norm_after_rope=True)),
        "scale by head size": attention(lambda a: replace(a, scale=8**-0.5)),
    },
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
    "granite": {
        "attention multiplier": attention(lambda a: replace(a, scale=a.head_dim**-0.5)),
        "embedding multiplier": whole(embed_scale=1.0),
        "residual multiplier": block(residual_scale=1.0),
        "logits scaling": whole(logit_scale=1.0),
    },
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
}
