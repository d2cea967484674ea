"""What is distinctive of families with modules of their own, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mutations import Change, attention, block, rope, whole

from limpide.models import ModelSpec
from limpide.models.spec import AttentionSpec, DeltaNetSpec, Mamba2Spec, MoESpec, NormSpec, RopeSpec


def router(**changes: Any) -> Change:
    def changed(block: Any) -> Any:
        mixture = block.feed_forward
        if not isinstance(mixture, MoESpec):
            return block
        return replace(block, feed_forward=replace(mixture, router=replace(mixture.router, **changes)))

    return lambda spec: replace(spec, blocks=tuple(map(changed, spec.blocks)))


def moe(**changes: Any) -> Change:
    def changed(block: Any) -> Any:
        feed_forward = block.feed_forward
        return (
            replace(block, feed_forward=replace(feed_forward, **changes))
            if isinstance(feed_forward, MoESpec)
            else block
        )

    return lambda spec: replace(spec, blocks=tuple(map(changed, spec.blocks)))


def _without_magnitude(a: Any) -> Any:
    return replace(a, scale=(a.nope_dim + a.rope.dims) ** -0.5)


def _magnitude_on_cosines(a: Any) -> Any:
    return replace(a, rope=replace(a.rope, scaling=replace(a.rope.scaling, mscale=None)))


def mamba(**changes: Any) -> Change:
    return attention(lambda a: replace(a, **changes) if isinstance(a, Mamba2Spec) else a)


def _rope_in_attention(spec: ModelSpec) -> ModelSpec:
    rope = RopeSpec(1e4, 8)
    return attention(lambda a: replace(a, rope=rope) if isinstance(a, AttentionSpec) else a)(spec)


def _is_attention(mixer: Any) -> bool:
    return isinstance(mixer, AttentionSpec)


def _rope_on_half_the_head(spec: ModelSpec) -> ModelSpec:
    rope = RopeSpec(1e4, 8)
    return attention(lambda a: replace(a, rope=rope) if _is_attention(a) else a)(spec)


def _one_later(spec: ModelSpec) -> ModelSpec:
    return attention(lambda a: replace(a, q_temperature=replace(a.q_temperature, offset=1)))(spec)


_GATED_ATTENTION: dict[str, Change] = {
    "part of the head with rope": _rope_on_half_the_head,
    "norms of queries and keys": attention(lambda a: replace(a, qk_norm=None) if _is_attention(a) else a),
    "which key head a value head uses": attention(
        lambda a: replace(a, tiled=True) if isinstance(a, DeltaNetSpec) else a
    ),
}
_SHARED_BY_ALL: dict[str, Change] = {
    "gate of the shared expert": moe(shared_gate=False),
    "shared expert": moe(shared=None, shared_gate=False),
    "weights add up to one": router(renormalise=False),
}

OWN_MUTATIONS: dict[str, dict[str, Change]] = {
    "qwen3-next": {**_GATED_ATTENTION, **_SHARED_BY_ALL},
    "qwen3.5": _GATED_ATTENTION,
    "qwen3.5-experts": {
        "biases of attention": attention(
            lambda a: replace(a, qkv_bias=False, out_bias=False) if _is_attention(a) else a
        ),
        **_SHARED_BY_ALL,
    },
    "granite4-hybrid": {
        "convolution's bias": mamba(conv_bias=False),
        "no positions": _rope_in_attention,
        "residual scale": block(residual_scale=1.0),
        "embedding scale": whole(embed_scale=1.0),
        "logit scale": whole(logit_scale=1.0),
        "attention scale": attention(lambda a: replace(a, scale=8**-0.5) if isinstance(a, AttentionSpec) else a),
    },
    "granite4-hybrid-experts": {
        "biases of projections": mamba(bias=False),
        "order": router(order="score_then_topk", renormalise=False),
        "number chosen": router(chosen=1),
        "shared expert": moe(shared=None),
        "rope": attention(lambda a: replace(a, rope=None) if _is_attention(a) else a),
    },
    "mla": {
        "theta": rope(theta=10.0),
        "interleaved rope": rope(style="half"),
        "norm of latents": attention(lambda a: replace(a, latent_norm=NormSpec(1e-6, weighted=False))),
        "attention scale": attention(lambda a: replace(a, scale=a.kv_latent**-0.5)),
    },
    "mistral4": {
        "temperature": attention(lambda a: replace(a, q_temperature=None)),
        "offset of the temperature": _one_later,
        "magnitude on the scores": attention(_without_magnitude),
        "softmax": router(score="sigmoid"),
        "groups": router(groups=1, groups_kept=1),
        "groups kept": router(groups_kept=4),
        "shared expert": moe(shared=None),
        "renormalised weights": router(renormalise=False),
    },
    "mla-direct-queries": {"attention scale": attention(lambda a: replace(a, scale=a.nope_dim**-0.5))},
    "mla-yarn-legacy-gguf": {
        "scaling": rope(scaling=None),
        "magnitude on the scores": attention(_without_magnitude),
        "magnitude on cosines": attention(_magnitude_on_cosines),
    },
    "mla-biases": {"biases of down and output projections": attention(lambda a: replace(a, bias=False))},
    "deepseek3": {
        "correction of the choice": router(choice_bias=False),
        "groups": router(groups=1, groups_kept=1),
        "groups kept": router(groups_kept=4),
        "shared expert": moe(shared=None),
        "scale of the weights": router(scale=1.0),
        "renormalised weights": router(renormalise=False),
        "sigmoid": router(score="softmax"),
    },
}
