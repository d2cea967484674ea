"""Proofs that the parity tests see each feature of the families with mixtures of experts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mutations import Change, attention, rope, whole, window

from limpide.models import BlockSpec, ModelSpec
from limpide.models.spec import MaskSpec, MoESpec


def moe(**changes: Any) -> Change:
    """Change the mixtures, and leave dense layers alone."""

    def changed(b: BlockSpec) -> BlockSpec:
        if not isinstance(b.feed_forward, MoESpec):
            return b
        return replace(b, feed_forward=replace(b.feed_forward, **changes))

    return lambda spec: replace(spec, blocks=tuple(map(changed, spec.blocks)))


def router(**changes: Any) -> Change:
    return lambda spec: moe(router=replace(_first(spec).router, **changes))(spec)


def expert(**changes: Any) -> Change:
    return lambda spec: moe(expert=replace(_first(spec).expert, **changes))(spec)


def _first(spec: ModelSpec) -> MoESpec:
    return next(b.feed_forward for b in spec.blocks if isinstance(b.feed_forward, MoESpec))


def _clamp(**changes: Any) -> Change:
    return lambda spec: expert(clamp=replace(_first(spec).expert.clamp, **changes))(spec)


def _scaling(**changes: Any) -> Change:
    return attention(lambda a: replace(a, rope=replace(a.rope, scaling=replace(a.rope.scaling, **changes))))


def on_rope(**changes: Any) -> Change:
    """Change attention in layers with rope only."""
    return attention(lambda a: a if a.rope is None else replace(a, **changes))


def _roped(**changes: Any) -> Change:
    """Change rope where there is one."""
    return attention(lambda a: a if a.rope is None else replace(a, rope=replace(a.rope, **changes)))


def without_rope(**changes: Any) -> Change:
    return attention(lambda a: replace(a, **changes) if a.rope is None else a)


def _rope_everywhere(spec: ModelSpec) -> ModelSpec:
    some = next(b.attention.rope for b in spec.blocks if b.attention.rope is not None)
    return attention(lambda a: replace(a, rope=some))(spec)


def _temperature(**changes: Any) -> Change:
    return attention(
        lambda a: a if a.q_temperature is None else replace(a, q_temperature=replace(a.q_temperature, **changes))
    )


def _chunk(by: int) -> Change:
    return attention(lambda a: replace(a, mask=MaskSpec("chunk", a.mask.size + by)) if a.mask.kind == "chunk" else a)


def _swapped_kinds(spec: ModelSpec) -> ModelSpec:
    """Windows on the layers that see everything, and the other way round."""
    return replace(spec, blocks=tuple(replace(b, attention=_other(spec, b)) for b in spec.blocks))


def _other(spec: ModelSpec, b: BlockSpec) -> Any:
    masks = list(dict.fromkeys(block.attention.mask for block in spec.blocks))
    return replace(b.attention, mask=masks[1 - masks.index(b.attention.mask)])


def _beside(change: Callable[[MoESpec], MoESpec | None]) -> Change:
    def changed(b: BlockSpec) -> BlockSpec:
        return b if b.experts_beside is None else replace(b, experts_beside=change(b.experts_beside))

    return lambda spec: replace(spec, blocks=tuple(map(changed, spec.blocks)))


def _beside_router(**changes: Any) -> Change:
    return _beside(lambda moe: replace(moe, router=replace(moe.router, **changes)))


MOE_MUTATIONS: dict[str, dict[str, Change]] = {
    "mixtral": {
        "weights add up to one": router(renormalise=False),
        "number chosen": router(chosen=1),
        "softmax": router(score="sigmoid"),
        "weight on the output": router(weight_on="input"),
        "rope": attention(lambda a: replace(a, rope=None)),
    },
    "mixtral-window": {"window": attention(lambda a: replace(a, mask=MaskSpec())), "one longer": window(1)},
    "qwen2-moe": {
        "weights as they are": router(renormalise=True),
        "order": router(order="topk_then_score"),
        "shared expert": moe(shared=None, shared_gate=False),
        "its gate": moe(shared_gate=False),
        "qkv bias": attention(lambda a: replace(a, qkv_bias=False)),
    },
    "mixtral-legacy-gguf": {"number chosen": router(chosen=2), "weights add up to one": router(renormalise=False)},
    "mixtral-fused-gguf": {"number chosen": router(chosen=1), "softmax": router(score="sigmoid")},
    "qwen2-moe-some-dense": {
        "weights add up to one": router(renormalise=False),
        "shared expert": moe(shared=None, shared_gate=False),
    },
    "qwen3-moe": {
        "weights add up to one": router(renormalise=False),
        "query and key norms": attention(lambda a: replace(a, qk_norm=None)),
    },
    "qwen3-moe-some-dense": {
        "weights as they are": router(renormalise=True),
        "attention biases": attention(lambda a: replace(a, qkv_bias=False, out_bias=False)),
    },
    "gpt-oss": {
        "sinks": attention(lambda a: replace(a, sinks=False)),
        "qkv bias": attention(lambda a: replace(a, qkv_bias=False)),
        "output bias": attention(lambda a: replace(a, out_bias=False)),
        "router bias": router(bias=False),
        "order": router(order="score_then_topk", renormalise=False),
        "expert biases": expert(bias=False),
        "clamp": expert(clamp=None),
        "alpha": _clamp(alpha=1.0),
        "limit": _clamp(limit=100.0),
        "windows": attention(lambda a: replace(a, mask=MaskSpec())),
        "window one longer": window(1),
        "which layers have windows": _swapped_kinds,
        "scaling": rope(scaling=None),
        "range not rounded": _scaling(truncate=True),
        "attention factor": _scaling(attention_factor=1.0),
    },
    "granite-moe": {
        "order": router(order="score_then_topk", renormalise=False),
        "attention scale": attention(lambda a: replace(a, scale=a.head_dim**-0.5)),
        "residual scale": lambda spec: replace(spec, blocks=tuple(replace(b, residual_scale=1.0) for b in spec.blocks)),
        "embedding scale": whole(embed_scale=1.0),
        "logit scale": whole(logit_scale=1.0),
    },
    "granite-moe-shared": {
        "shared expert": moe(shared=None),
        "qkv bias": attention(lambda a: replace(a, qkv_bias=False)),
        "output bias": attention(lambda a: replace(a, out_bias=False)),
    },
    "llama4": {
        "interleaved rope": _roped(style="half"),
        "layers without rope": _rope_everywhere,
        "norm of heads": on_rope(qk_norm=None),
        "chunks": on_rope(mask=MaskSpec()),
        "chunk one shorter": _chunk(-1),
        "chunk one longer": _chunk(1),
        "temperature": without_rope(q_temperature=None),
        "temperature's offset": _temperature(offset=0),
        "temperature's period": _temperature(period=9),
        "weight on the input": router(weight_on="output"),
        "sigmoid": router(score="softmax"),
        "weights as they are": router(renormalise=True),
        "shared expert": moe(shared=None),
    },
    "gemma4-experts": {
        "experts": _beside(lambda moe: None),
        "scale per expert": _beside_router(expert_scale=False),
        "scale of what the router reads": _beside_router(input_scale=1.0),
        "norm of what the router reads": _beside_router(norm=None),
        "activation": _beside(lambda moe: replace(moe, expert=replace(moe.expert, activation="silu"))),
    },
    "llama4-in-a-wrapper": {
        "interleaved rope": _roped(style="half"),
        "layers without rope": _rope_everywhere,
        "chunk one longer": _chunk(1),
        "weight on the input": router(weight_on="output"),
    },
    "llama4-constants-of-gguf": {
        "layers without rope": _rope_everywhere,
        "norm of heads": on_rope(qk_norm=None),
        "sigmoid": router(score="softmax"),
    },
    "llama4-scaling-no-norm": {
        "scaling": _roped(scaling=None),
        "biases": attention(lambda a: replace(a, qkv_bias=False, out_bias=False)),
    },
}
