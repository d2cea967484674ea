"""Latent attention: what it keeps of a token, and that it computes what expanded keys and values would give."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_spec import HIDDEN, NORM, make_model, run, tokens
from torch import Tensor

from limpide.cache import PagedCache, PlainKV
from limpide.core.errors import UnsupportedConfig
from limpide.layers.mla import LatentAttention
from limpide.layers.rope import RopeTable, rotate
from limpide.layers.spec import BlockSpec, LatentAttentionSpec, MLPSpec, RopeSpec
from limpide.layers.step import Step
from limpide.layers.taps import Taps
from limpide.models import CausalLM, ModelSpec

LENGTH, HEADS, LATENT, NOPE, VALUE, ROPE = 21, 4, 7, 5, 6, 4
SPEC = LatentAttentionSpec(
    HEADS, LATENT, NOPE, VALUE, scale=0.4, rope=RopeSpec(1e4, ROPE, "interleaved"), latent_norm=NORM, q_latent=9
)


def spec(attention: LatentAttentionSpec = SPEC) -> ModelSpec:
    block = BlockSpec(attention, MLPSpec(20), NORM)
    return ModelSpec("test", 31, HIDDEN, 64, blocks=(block,) * 2, norm=NORM, tied=False)


@pytest.fixture(scope="module", params=[SPEC, replace(SPEC, q_latent=None), replace(SPEC, joint_up=False)])
def model(request: pytest.FixtureRequest) -> CausalLM:
    return make_model(spec(request.param))


def expanded(layer: LatentAttention, x: Tensor) -> Tensor:
    """The same by the paper's definition: keys and values of every head, made from the latents."""
    q = layer.q(x) if layer.spec.q_latent is None else layer.q_up(layer.q_norm(layer.q_down(x)))
    latent, shared = layer.kv_down(x).split((LATENT, ROPE), dim=-1)
    latent = layer.kv_norm(latent)
    rotation = RopeTable(layer.spec.rope).rotation(torch.arange(len(x)), [0, len(x)], [len(x)])
    q = q.view(len(x), HEADS, NOPE + ROPE)
    q = torch.cat((q[..., :NOPE], rotate(q[..., NOPE:], rotation)), dim=-1)
    keys = torch.einsum("hcn,tc->thn", layer.k_up, latent)
    keys = torch.cat((keys, rotate(shared[:, None], rotation).expand(-1, HEADS, -1)), dim=-1)
    values = torch.einsum("hvc,tc->thv", layer.v_up, latent)
    scores = torch.einsum("qhd,khd->hqk", q, keys) * layer.spec.scale
    hidden = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    probs = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    output: Tensor = layer.o(torch.einsum("hqk,khv->qhv", probs, values).flatten(1))
    return output


def test_it_is_what_expanded_keys_and_values_give(model: CausalLM) -> None:
    layer = model.blocks[0].attn
    assert isinstance(layer, LatentAttention)
    x = torch.randn(LENGTH, HIDDEN, generator=torch.Generator().manual_seed(3))
    rotation = RopeTable(layer.spec.rope).rotation(torch.arange(LENGTH), [0, LENGTH], [LENGTH])
    with torch.inference_mode():
        ours = layer(x, Step(PlainKV([LENGTH]), {layer.spec.rope: rotation}, None))
        torch.testing.assert_close(ours, expanded(layer, x), rtol=1e-5, atol=1e-5)


def test_a_token_costs_one_latent_and_one_key_part(model: CausalLM) -> None:
    assert model.spec.kv_shapes == ((1, LATENT + ROPE, 0),) * 2
    keys, values = PagedCache(model.spec.kv_shapes, 3).pool(0)
    assert keys[0, 0].numel() == LATENT + ROPE
    assert values.numel() == 0


def test_the_kernels_leave_it_alone(model: CausalLM) -> None:
    assert [block.fused for block in model.blocks] == [None, None]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("blocks.1.attn.q", (LENGTH, HEADS, NOPE + ROPE)),
        ("blocks.1.attn.latent", (LENGTH, LATENT)),
        ("blocks.1.attn.probs", (HEADS, LENGTH, LENGTH)),
        ("blocks.1.attn.heads", (LENGTH, HEADS, VALUE)),
    ],
)
def test_its_points_can_be_read_and_replaced(model: CausalLM, name: str, shape: tuple[int, ...]) -> None:
    plain = run(model, tokens(LENGTH))
    seen: list[Tensor] = []
    read = run(model, tokens(LENGTH), Taps({name: lambda x: seen.append(x.clone())}))
    assert [tuple(x.shape) for x in seen] == [shape]
    torch.testing.assert_close(read, plain, rtol=1e-5, atol=1e-5)
    replaced = run(model, tokens(LENGTH), Taps({name: lambda x: x.roll(1, -1) * 1.5}))
    assert float((replaced - plain).abs().max()) > 1e-3


@pytest.mark.parametrize("change", [{"q_latent": 0}, {"kv_latent": 0}, {"heads": 0}, {"value_dim": -1}])
def test_sizes_are_checked(change: dict[str, int]) -> None:
    with pytest.raises(UnsupportedConfig, match="attention"):
        replace(SPEC, **change)
