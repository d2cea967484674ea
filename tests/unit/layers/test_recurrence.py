"""Recurrent layers against their definitions, token by token, and in any chunks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_spec import HIDDEN, NORM, make_model, run, tokens
from torch import Tensor
from torch.nn import functional

from limpide.cache import PagedCache, PlainKV
from limpide.core.errors import UnsupportedConfig
from limpide.layers.deltanet import DeltaNet
from limpide.layers.mamba import Mamba2
from limpide.layers.spec import RUN, BlockSpec, DeltaNetSpec, Mamba2Spec, MLPSpec
from limpide.layers.step import Step
from limpide.layers.taps import Taps
from limpide.models import CausalLM, ModelSpec

MAMBA = Mamba2Spec(heads=4, head_dim=8, groups=2, state=5, kernel=4, norm=NORM, bias=True)
DELTA = DeltaNetSpec(key_heads=2, value_heads=4, key_dim=5, value_dim=8, kernel=4, norm=NORM)
SPECS = {"mamba": MAMBA, "deltanet": DELTA, "deltanet-tiled": replace(DELTA, tiled=True)}
LENGTH = 3 * RUN + 5


def spec(mixer: Any) -> ModelSpec:
    block = BlockSpec(mixer, MLPSpec(32), NORM)
    return ModelSpec("test", 31, HIDDEN, 64, blocks=(block,) * 2, norm=NORM, tied=False)


@pytest.fixture(scope="module", params=SPECS)
def model(request: pytest.FixtureRequest) -> CausalLM:
    model = make_model(spec(SPECS[request.param]))
    for block in model.blocks:
        mixer: Any = block.attn
        mixer.decay.data = -mixer.decay.abs() - 0.05
    return model


def convolved(layer: Mamba2 | DeltaNet, x: Tensor) -> Tensor:
    weight, bias = layer.conv.weight, layer.conv.bias
    padded = functional.pad(x.T, (weight.shape[1] - 1, 0))
    return functional.silu(functional.conv1d(padded, weight[:, None], bias, groups=len(weight)).T)


def mamba_by_definition(layer: Mamba2, x: Tensor) -> Tensor:
    s = layer.spec
    gate, xbc, dt = layer.input(x).split((s.inner, s.channels, s.heads), dim=-1)
    xbc, dt = convolved(layer, xbc), functional.softplus(dt + layer.dt_bias)
    state, out = torch.zeros(s.heads, s.head_dim, s.state), []
    for row, time in zip(xbc, dt, strict=True):
        inputs, write, read = row.split((s.inner, s.groups * s.state, s.groups * s.state))
        inputs = inputs.view(s.heads, s.head_dim)
        write, read = (v.view(s.groups, s.state).repeat_interleave(s.heads // s.groups, 0) for v in (write, read))
        state = state * (time * layer.decay).exp()[:, None, None]
        state = state + time[:, None, None] * inputs[:, :, None] * write[:, None, :]
        out.append((state @ read[:, :, None]).squeeze(-1) + layer.skip[:, None] * inputs)
    gated = torch.stack(out).flatten(1) * functional.silu(gate)
    grouped = gated.view(len(x), s.groups, -1)
    normed = grouped * (grouped.square().mean(-1, keepdim=True) + s.norm.eps).rsqrt()
    output: Tensor = layer.o((normed * layer.norm).flatten(1))
    return output


def deltanet_by_definition(layer: DeltaNet, x: Tensor) -> Tensor:
    s = layer.spec
    width, share = s.key_heads * s.key_dim, s.value_heads // s.key_heads
    q, k, v = convolved(layer, layer.qkv(x)).split((width, width, s.value_heads * s.value_dim), dim=-1)
    q, k = (y.view(len(x), s.key_heads, s.key_dim) for y in (q, k))
    q, k = (y / (y.square().sum(-1, keepdim=True) + 1e-6).sqrt() for y in (q, k))
    q, k = (y.repeat(1, share, 1) if s.tiled else y.repeat_interleave(share, 1) for y in (q, k))
    v = v.view(len(x), s.value_heads, s.value_dim)
    rate, fading = layer.rate(x).sigmoid(), layer.decay * functional.softplus(layer.dt(x) + layer.dt_bias)
    state, out = torch.zeros(s.value_heads, s.key_dim, s.value_dim), []
    for at in range(len(x)):
        state = state * fading[at].exp()[:, None, None]
        found = torch.einsum("hkv,hk->hv", state, k[at])
        state = state + torch.einsum("hk,hv->hkv", k[at], rate[at][:, None] * (v[at] - found))
        out.append(torch.einsum("hkv,hk->hv", state, q[at]) / s.key_dim**0.5)
    heads = torch.stack(out)
    normed = heads * (heads.square().mean(-1, keepdim=True) + s.norm.eps).rsqrt() * layer.norm
    output: Tensor = layer.o(normed.flatten(1) * functional.silu(layer.gate(x)))
    return output


def test_runs_give_what_single_tokens_give(model: CausalLM) -> None:
    layer = model.blocks[0].attn
    x = torch.randn(LENGTH, HIDDEN, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        ours = layer(x, Step(PlainKV([LENGTH]), {}, None))
        expected = mamba_by_definition(layer, x) if isinstance(layer, Mamba2) else deltanet_by_definition(layer, x)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chunks", [[1] * LENGTH, [RUN, RUN, RUN, 5], [7, 30, 1, 1, 14], [LENGTH - 1, 1]])
def test_chunks_give_the_same_bits(model: CausalLM, chunks: list[int]) -> None:
    ids = tokens(LENGTH)
    cache = PagedCache(model.spec.kv_shapes, 8, states=model.spec.state_shapes)
    lease, start, hidden = cache.open(), 0, []
    assert cache.reserve(lease, LENGTH)
    with torch.inference_mode():
        for count in chunks:
            positions = torch.arange(start, start + count)
            hidden.append(model(ids[positions], positions, cache.view([(lease, start, count)])))
            start += count
        assert torch.equal(model.logits(torch.cat(hidden)), run(model, ids))


def test_a_step_can_be_computed_again(model: CausalLM) -> None:
    """Interrupted anywhere, a step has changed nothing of what its repetition reads."""
    ids = tokens(LENGTH)
    cache = PagedCache(model.spec.kv_shapes, 8, states=model.spec.state_shapes)
    lease = cache.open()
    assert cache.reserve(lease, LENGTH)

    def step(start: int, count: int, interrupted_in: int | None = None) -> Tensor:
        def interrupt(_: Tensor) -> None:
            raise KeyboardInterrupt

        taps = None if interrupted_in is None else Taps({f"blocks.{interrupted_in}.attn.output": interrupt})
        positions = torch.arange(start, start + count)
        return model(ids[positions], positions, cache.view([(lease, start, count)]), taps=taps)

    hidden, start = [], 0
    with torch.inference_mode():
        for count in (20, 1, 19, LENGTH - 40):
            for block in (0, 1):
                with pytest.raises(KeyboardInterrupt):
                    step(start, count, block)
            hidden.append(step(start, count))
            hidden[-1] = step(start, count)
            start += count
        assert torch.equal(model.logits(torch.cat(hidden)), run(model, ids))


def test_a_state_is_that_of_its_position_or_none(model: CausalLM) -> None:
    cache = PagedCache(model.spec.kv_shapes, 8, states=model.spec.state_shapes)
    lease = cache.open()
    assert cache.reserve(lease, 40)
    with torch.inference_mode():
        model(tokens(20), torch.arange(20), cache.view([(lease, 0, 20)]))
        with pytest.raises(AssertionError, match="no state of 25 positions"):
            model(tokens(5), torch.arange(25, 30), cache.view([(lease, 25, 5)]))
        cache.close(lease)
        again = cache.open()
        assert cache.reserve(again, 40)
        with pytest.raises(AssertionError, match="no state of 20 positions"):
            model(tokens(5), torch.arange(20, 25), cache.view([(again, 20, 5)]))


def test_the_kernels_leave_it_alone(model: CausalLM) -> None:
    assert [block.fused for block in model.blocks] == [None, None]


def test_it_keeps_no_keys(model: CausalLM) -> None:
    assert model.spec.kv_shapes == ((0, 0, 0),) * 2
    assert not PagedCache(model.spec.kv_shapes, 2, states=model.spec.state_shapes).share_prefixes
    assert PagedCache([(1, 2, 2)], 2, states=[()]).share_prefixes


def test_each_head_can_be_read_and_replaced(model: CausalLM) -> None:
    plain, seen = run(model, tokens(LENGTH)), list[Tensor]()
    read = run(model, tokens(LENGTH), Taps({"blocks.1.attn.heads": lambda x: seen.append(x.clone())}))
    assert [x.shape for x in seen] == [(LENGTH, 4, 8)]
    torch.testing.assert_close(read, plain)
    replaced = run(model, tokens(LENGTH), Taps({"blocks.1.attn.heads": lambda x: x.roll(1, -1) * 1.5}))
    assert float((replaced - plain).abs().max()) > 1e-3


def test_gradients_flow_through_a_plain_pass(model: CausalLM) -> None:
    embedding: Any = model.embed.weight
    embedding.requires_grad_(True)
    try:
        hidden = model(tokens(LENGTH), torch.arange(LENGTH), PlainKV([LENGTH]))
        model.logits(hidden)[-1].logsumexp(-1).backward()
        assert float(embedding.grad[tokens(LENGTH)[0]].abs().sum()) > 0
    finally:
        embedding.requires_grad_(False)
        embedding.grad = None


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (MAMBA, {"groups": 3}),
        (MAMBA, {"kernel": 1}),
        (MAMBA, {"state": 0}),
        (DELTA, {"value_heads": 3}),
        (DELTA, {"kernel": 0}),
        (DELTA, {"key_dim": -1}),
    ],
)
def test_sizes_are_checked(base: Any, change: dict[str, int]) -> None:
    with pytest.raises(UnsupportedConfig, match=next(iter(change))):
        replace(base, **change)
