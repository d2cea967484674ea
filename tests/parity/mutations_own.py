"""What is distinctive of families with modules of their own, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mutations import Change, attention, rope

from limpide.models.spec import MoESpec, NormSpec


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


OWN_MUTATIONS: dict[str, dict[str, Change]] = {
    "mla": {
        "theta": rope(theta=10.0),
        "interleaved rope": rope(style="half"),
        "norm of latents": attention(lambda a: replace(a, latent_norm=NormSpec(1e-6, weighted=False))),
        "attention scale": attention(lambda a: replace(a, scale=a.kv_latent**-0.5)),
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
