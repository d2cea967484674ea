"""What is distinctive of families with modules of their own, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mutations import Change, attention, block, rope, whole

from limpide.models import ModelSpec
from limpide.models.spec import AttentionSpec, DeltaNetSpec, Mamba2Spec, MoESpec, NormSpec, RopeSpec


def router(**changes: Any) -> Change:
    def changed(block: Any) -> Any:
        moe = block.feed_forward
        if not isinstance(moe, MoESpec):
            return block
        return replace(block, feed_forward=replace(moe, router=replace(moe.router, **changes)))

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


def _ungated_shared_expert(spec: ModelSpec) -> ModelSpec:
    moe = replace(spec.blocks[0].feed_forward, shared_gate=False)
    return replace(spec, blocks=tuple(replace(block, feed_forward=moe) for block in spec.blocks))


def _one_later(spec: ModelSpec) -> ModelSpec:
    return attention(lambda a: replace(a, q_temperature=replace(a.q_temperature, offset=1)))(spec)


OWN_MUTATIONS: dict[str, dict[str, Change]] = {
    "qwen3-next": {
        "part of the head with rope": _rope_on_half_the_head,
        "norms of queries and keys": attention(lambda a: replace(a, qk_norm=None) if _is_attention(a) else a),
        "gate of the shared expert": _ungated_shared_expert,
        "order of value heads": attention(lambda a: replace(a, tiled=True) if isinstance(a, DeltaNetSpec) else a),
    },
    "granite4-hybrid": {
        "convolution's bias": mamba(conv_bias=False),
        "no positions": _rope_in_attention,
        "residual scale": block(residual_scale=1.0),
        "embedding scale": whole(embed_scale=1.0),
        "logit scale": whole(logit_scale=1.0),
        "attention scale": attention(lambda a: replace(a, scale=8**-0.5) if isinstance(a, AttentionSpec) else a),
    },
    "granite4-hybrid-experts": {"biases of projections": mamba(bias=False)},
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
    },
    "mla-yarn-legacy-gguf": {
        "scaling": rope(scaling=None),
        "magnitude on the scores": attention(_without_magnitude),
        "magnitude on cosines": attention(_magnitude_on_cosines),
    },
    "mla-biases": {"biases of down and output projections": attention(lambda a: replace(a, bias=False))},
    "deepseek3": {
        "correction of the choice": router(choice_bias=False),
        "groups": router(groups=1, groups_kept=1),
        "scale of the weights": router(scale=1.0),
        "renormalised weights": router(renormalise=False),
        "sigmoid": router(score="softmax"),
    },
}
