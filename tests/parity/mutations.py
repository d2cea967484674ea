"""Ways to change a description, for proofs that the parity tests see each of its features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from limpide.models import BlockSpec, ModelSpec
from limpide.models.spec import AttentionSpec, MaskSpec

Change = Callable[[ModelSpec], ModelSpec]


def block(**changes: Any) -> Change:
    return lambda spec: replace(spec, blocks=tuple(replace(b, **changes) for b in spec.blocks))


def _inside(part: str, change: Callable[[Any], Any]) -> Change:
    def changed(b: BlockSpec) -> BlockSpec:
        return replace(b, **{part: change(getattr(b, part))})

    return lambda spec: replace(spec, blocks=tuple(changed(b) for b in spec.blocks))


def attention(change: Callable[[AttentionSpec], AttentionSpec]) -> Change:
    return _inside("attention", change)


def mlp(**changes: Any) -> Change:
    return _inside("feed_forward", lambda m: replace(m, **changes))


def rope(**changes: Any) -> Change:
    return attention(lambda a: replace(a, rope=replace(a.rope, **changes)))


def window(by: int) -> Change:
    def change(a: AttentionSpec) -> AttentionSpec:
        return replace(a, mask=MaskSpec("window", a.mask.size + by)) if a.mask.kind == "window" else a

    return attention(change)


def whole(**changes: Any) -> Change:
    return lambda spec: replace(spec, **changes)


def swap_thetas(spec: ModelSpec) -> ModelSpec:
    thetas = {b.attention.rope.theta for b in spec.blocks if b.attention.rope}
    (low, high) = sorted(thetas)
    return attention(lambda a: replace(a, rope=replace(a.rope, theta=low + high - a.rope.theta)))(spec)
