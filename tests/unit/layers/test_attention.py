"""Attention against one query at a time in double precision."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_spec import HIDDEN, attention, make_model, run, spec, tokens
from torch import Tensor

from limpide.cache import PagedCache, PlainKV
from limpide.layers import attention as attention_module
from limpide.layers.attention import Attention, attend
from limpide.layers.spec import AttentionSpec, MaskSpec, NormSpec
from limpide.layers.step import Step
from limpide.layers.taps import Taps
from limpide.layers.weights import Weights

LENGTH = 23


def visible(mask: MaskSpec, query: int, key: int) -> bool:
    if key > query:
        return False
    if mask.kind == "window":
        return query - key < mask.size
    return mask.kind == "full" or key // mask.size == query // mask.size


def naive(q: Tensor, k: Tensor, v: Tensor, spec: AttentionSpec, sinks: Tensor | None = None) -> Tensor:
    """[T, heads, head_dim], straight from the definition."""
    group = spec.heads // spec.kv_heads
    result = torch.zeros(q.shape, dtype=torch.float64)
    for query in range(len(q)):
        keys = [key for key in range(len(k)) if visible(spec.mask, query, key)]
        for head in range(spec.heads):
            scores = [float(q[query, head].double() @ k[key, head // group].double()) * spec.scale for key in keys]
            if spec.softcap:
                scores = [math.tanh(score / spec.softcap) * spec.softcap for score in scores]
            weights = [math.exp(score) for score in scores]
            total = sum(weights) + (math.exp(float(sinks[head])) if sinks is not None else 0.0)
            for key, weight in zip(keys, weights, strict=True):
                result[query, head] += weight / total * v[key, head // group].double()
    return result.float()


def random_qkv(spec: AttentionSpec, length: int = LENGTH) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    q = torch.randn(length, spec.heads, spec.head_dim, generator=generator)
    k, v = torch.randn(2, length, spec.kv_heads, spec.head_dim, generator=generator)
    return q, k, v


def attend_plain(
    q: Tensor, k: Tensor, v: Tensor, spec: AttentionSpec, sinks: Tensor | None = None, **step: Any
) -> Tensor:
    taps = step.get("taps")
    return attend(q, k, v, layer=0, spec=spec, step=Step(PlainKV([len(q)]), {}, taps), sinks=sinks)


SPECS = {
    "grouped": attention(),
    "multi-head": attention(kv_heads=4),
    "multi-query": attention(kv_heads=1),
    "softcap": attention(softcap=0.8),
    "window of one": attention(mask=MaskSpec("window", 1)),
    "window": attention(mask=MaskSpec("window", 6)),
    "window longer than the text": attention(mask=MaskSpec("window", 100)),
    "chunk": attention(mask=MaskSpec("chunk", 6)),
    "sinks": attention(sinks=True),
    "sinks in a window": attention(sinks=True, mask=MaskSpec("window", 4)),
}


@pytest.mark.parametrize("rows", [1, 5, 16, 64])
@pytest.mark.parametrize("name", SPECS)
def test_it_is_the_definition(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_module, "_ROWS", rows)
    spec = SPECS[name]
    q, k, v = random_qkv(spec)
    sinks = torch.tensor([-1.0, 0.5, 2.0, 0.0]) if spec.sinks else None
    expected = naive(q, k, v, spec, sinks)
    torch.testing.assert_close(attend_plain(q, k, v, spec, sinks), expected, rtol=1e-5, atol=1e-5)
    tapped = attend_plain(q, k, v, spec, sinks, taps=Taps({"blocks.0.attn.probs": lambda _: None}))
    torch.testing.assert_close(tapped, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_steps_of_any_size_give_the_bits_of_one_pass(name: str) -> None:
    spec = SPECS[name]
    q, k, v = random_qkv(spec)
    sinks = torch.tensor([-1.0, 0.5, 2.0, 0.0]) if spec.sinks else None
    expected = attend_plain(q, k, v, spec, sinks)
    cache = PagedCache([(spec.kv_heads, spec.head_dim, spec.head_dim)], num_blocks=16, block_size=4)
    lease = cache.open()
    assert cache.reserve(lease, LENGTH)
    done = 0
    for count in (5, 1, 1, 9, 1, 6):
        rows = slice(done, done + count)
        step = Step(cache.view([(lease, done, count)]), {}, None)
        mixed = attend(q[rows], k[rows], v[rows], layer=0, spec=spec, step=step, sinks=sinks)
        assert torch.equal(mixed, expected[rows])
        done += count
    assert done == LENGTH


def test_strangers_in_the_batch_change_nothing() -> None:
    spec = attention(mask=MaskSpec("window", 6))
    q, k, v = random_qkv(spec)
    alone = [attend_plain(q[rows], k[rows], v[rows], spec) for rows in (slice(0, 9), slice(9, 10), slice(10, 23))]
    together = attend(q, k, v, layer=0, spec=spec, step=Step(PlainKV([9, 1, 13]), {}, None))
    assert torch.equal(together, torch.cat(alone))


def module_weights(spec: AttentionSpec) -> Weights:
    generator = torch.Generator().manual_seed(3)
    rows, kv_rows = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
    shapes = {"q": (rows, HIDDEN), "k": (kv_rows, HIDDEN), "v": (kv_rows, HIDDEN), "o": (HIDDEN, rows)}
    tensors = {f"{name}.weight": torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for name in ("q_norm", "k_norm", "v_norm"):
        tensors[f"{name}.weight"] = torch.randn(spec.head_dim, generator=generator)
    return Weights(tensors)


def _rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("weighted", [True, False])
def test_values_can_be_normed(weighted: bool) -> None:
    spec = attention(rope=None, v_norm=NormSpec(1e-5, weighted=weighted))
    weights = module_weights(spec)
    x = torch.randn(5, HIDDEN, generator=torch.Generator().manual_seed(1))
    q, k, v = ((x @ weights.vector(f"{n}.weight").T).view(5, h, 6) for n, h in (("q", 4), ("k", 2), ("v", 2)))
    v = _rms(v) * (weights.vector("v_norm.weight") if weighted else 1.0)
    expected = naive(q, k, v, spec).flatten(1) @ weights.vector("o.weight").T
    got = Attention(spec, weights, 0)(x, Step(PlainKV([5]), {}, None))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_queries_and_keys_can_be_normed_before_or_after_rope() -> None:
    """A norm with a weight doesn't commute with a rotation; one without does."""

    def logits(after: bool, weighted: bool) -> Tensor:
        norm = NormSpec(1e-5, weighted=weighted)
        return run(make_model(spec(qk_norm=norm, qk_norm_after_rope=after)), tokens(9))

    torch.testing.assert_close(logits(False, False), logits(True, False), rtol=1e-4, atol=1e-4)
    assert float((logits(False, True) - logits(True, True)).abs().max()) > 1e-3


def test_a_long_prompt_needs_no_square_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tensor of scores has a run of queries, and no more keys than they see."""
    sizes: list[int] = []
    original = attention_module._scores

    def spy(*args: Any, **kwargs: Any) -> Tensor:
        scores = original(*args, **kwargs)
        sizes.append(scores.numel())
        return scores

    monkeypatch.setattr(attention_module, "_scores", spy)
    wide = replace(attention(), mask=MaskSpec("window", 16))
    q, k, v = random_qkv(wide, 256)
    attend_plain(q, k, v, wide)
    assert len(sizes) == 16
    assert max(sizes) == 4 * 16 * (16 + 15)


def test_a_gate_multiplies_each_heads_result() -> None:
    """Its rows stand after those of the queries, head by head; a gate of zero lets half through."""
    from tiny_spec import make_model, run, tokens
    from tiny_spec import spec as model_spec

    gated = make_model(model_spec(blocks=1, out_gate=True))
    plain = make_model(model_spec(blocks=1))
    a, b = gated.blocks[0].attn, plain.blocks[0].attn
    assert isinstance(a, Attention)
    assert isinstance(b, Attention)
    assert isinstance(a.q.weight, Tensor)
    assert isinstance(b.q.weight, Tensor)
    by_head = a.q.weight.view(4, 2, 6, -1)
    by_head[:, 1] = 0
    plain.load_state_dict(gated.state_dict() | {"blocks.0.attn.q.weight": by_head[:, 0].reshape(24, -1)})
    assert isinstance(b.o.weight, Tensor)
    b.o.weight.mul_(0.5)
    torch.testing.assert_close(run(gated, tokens(9)), run(plain, tokens(9)))
    by_head[:, 1] = 3
    assert float((run(gated, tokens(9)) - run(plain, tokens(9))).abs().max()) > 1e-3
