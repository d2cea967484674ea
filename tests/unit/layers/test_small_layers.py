"""Norms, MLP, embedding and linear against their formulas, and refusals of the block description."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_spec import NORM, attention, sandwich_spec, sharing_spec, spec
from torch import Tensor
from torch.nn import functional

from limpide.cache import PlainKV
from limpide.core.errors import UnsupportedConfig
from limpide.layers.embedding import Embedding
from limpide.layers.linear import Linear
from limpide.layers.mlp import MLP
from limpide.layers.norm import make_norm
from limpide.layers.spec import (
    BlockSpec,
    GateClamp,
    MaskSpec,
    MLPSpec,
    NormSpec,
    QueryTemperature,
    RopeSpec,
    RouterSpec,
)
from limpide.layers.step import Step
from limpide.layers.weights import Weights
from limpide.models.parameters import parameters
from limpide.quant import QuantTensor, get_format


def rand(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_rms_norm() -> None:
    x, weight = rand(3, 16) * 5, rand(16)
    norm = make_norm(NormSpec(1e-3), Weights({"weight": weight}))
    torch.testing.assert_close(norm(x), x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight)


def test_where_a_half_precision_norm_rounds() -> None:
    x, weight = rand(64, 64).bfloat16(), rand(64)
    x32 = x.float()
    unit = x32 / (x32.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    late, early = (
        make_norm(NormSpec(1e-6, mul_in_fp32=late), Weights({"weight": weight}))(x) for late in (True, False)
    )
    torch.testing.assert_close(late, (unit * weight).bfloat16(), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(early, unit.bfloat16() * weight.bfloat16(), rtol=1e-2, atol=1e-2)
    assert late.dtype == early.dtype == torch.bfloat16
    assert not torch.equal(late, early)


@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm(bias: bool) -> None:
    x, weight, offset = rand(3, 16) + 2, rand(16), rand(1, 16)[0]
    norm = make_norm(NormSpec(1e-3, kind="layer", bias=bias), Weights({"weight": weight, "bias": offset}))
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight + (offset if bias else 0)
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_norms_without_weights_need_none(kind: Any) -> None:
    x = rand(3, 16) + 1
    got = make_norm(NormSpec(1e-6, kind=kind, weighted=False), Weights({}))(x)
    centred = x - (x.mean(-1, keepdim=True) if kind == "layer" else 0)
    torch.testing.assert_close(got, centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt())


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("silu", lambda x: x * x.sigmoid()),
        ("gelu", lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5))),
        ("gelu_tanh", lambda x: x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))),
        ("relu", lambda x: x.clamp(min=0)),
    ],
)
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_mlp(activation: Any, function: Any, gated: bool, bias: bool) -> None:
    tensors = {"gate.weight": rand(10, 6), "up.weight": rand(10, 6) + 0.1, "down.weight": rand(6, 10)}
    tensors |= {"gate.bias": rand(10), "up.bias": rand(1, 10)[0], "down.bias": rand(6)}
    x = rand(4, 6)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ tensors[f"{name}.weight"].T + (tensors[f"{name}.bias"] if bias else 0)

    mlp = MLP(MLPSpec(10, activation, gated=gated, bias=bias), Weights(tensors), 0)
    neurons = function(linear("gate", x)) * linear("up", x) if gated else function(linear("up", x))
    got = mlp(x, Step(PlainKV([4]), {}, None))
    torch.testing.assert_close(got, linear("down", neurons), rtol=1e-4, atol=1e-5)


def _half_blocks(values: Tensor) -> QuantTensor:
    data = values.half().view(torch.uint8).view(values.shape[0], -1)
    return QuantTensor(get_format("F16"), (values.shape[0], values.shape[1]), data)


def test_linear_is_the_same_from_stored_blocks() -> None:
    weight, bias, x = rand(8, 32), rand(8), rand(3, 32)
    stored = Linear(Weights({"weight": _half_blocks(weight), "bias": bias}), bias=True)
    plain = Linear(Weights({"weight": weight.half().float(), "bias": bias}), bias=True)
    torch.testing.assert_close(plain(x), x @ weight.half().float().T + bias)
    torch.testing.assert_close(stored(x), plain(x), rtol=1e-2, atol=2e-1)
    assert stored.shape == plain.shape == (8, 32)
    assert not any(parameter.requires_grad for parameter in plain.parameters())


@pytest.mark.parametrize(("rows", "cols"), [(576, 576), (192, 640), (1536, 576), (576, 1536), (4000, 64)])
def test_a_row_has_the_same_bits_in_any_batch(rows: int, cols: int) -> None:
    linear, x = Linear(Weights({"weight": rand(rows, cols)})), rand(70, cols)
    together = linear(x)
    for size in (1, 2, 3, 5, 8, 15, 16, 17, 33, 64):
        assert torch.equal(torch.cat([linear(part) for part in x.split(size)]), together)


def test_an_embedding_expands_only_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = rand(50, 32)
    embedding = Embedding(Weights({"weight": _half_blocks(weight)}), scale=3.0)
    expanded = []
    unpack = type(get_format("F16")).unpack

    def spy(self: Any, raw: Tensor) -> Tensor:
        expanded.append(raw.numel())
        return unpack(self, raw)

    monkeypatch.setattr(type(get_format("F16")), "unpack", spy)
    tokens = torch.tensor([7, 7, 49])
    assert torch.equal(embedding(tokens), weight[tokens].half().float() * 3.0)
    assert expanded == [3 * 64]


def test_an_embedding_out_of_range_is_an_error() -> None:
    for weight in (rand(5, 32), _half_blocks(rand(5, 32))):
        with pytest.raises(IndexError):
            Embedding(Weights({"weight": weight}))(torch.tensor([5]))


def test_a_vector_is_never_blocks() -> None:
    with pytest.raises(TypeError, match="F16"):
        Weights({"norm.weight": _half_blocks(rand(1, 32))}).at("norm").vector("weight")


def test_parameters_are_all_that_a_model_takes() -> None:
    """One of them missing, and the model can't be built: the loader's check is complete."""
    from limpide.models import CausalLM

    everything = spec(qkv_bias=True, out_bias=True, sinks=True, v_norm=NORM, qk_norm=NORM)
    for made in (spec(), sandwich_spec(), everything, sharing_spec(), replace(spec(), learned_positions=True)):
        weights = {name: torch.zeros(shape) for name, shape in parameters(made).items()}
        CausalLM(made, Weights(weights))
        for name in weights:
            with pytest.raises(KeyError, match=name.rsplit(".", 1)[0].replace(".", r"\.")):
                CausalLM(made, Weights({k: v for k, v in weights.items() if k != name}))


@pytest.mark.parametrize(
    ("change", "switch"),
    [
        (lambda: NormSpec(-1.0), "norm.eps"),
        (lambda: NormSpec(float("nan")), "norm.eps"),
        (lambda: NormSpec(1e-5, kind="batch"), "norm.kind"),  # type: ignore[arg-type]
        (lambda: NormSpec(1e-5, bias=True), "norm.bias"),
        (lambda: MaskSpec("window", 0), "mask.size"),
        (lambda: MaskSpec("full", 4), "mask.size"),
        (lambda: MaskSpec("diagonal", 4), "mask.kind"),  # type: ignore[arg-type]
        (lambda: attention(heads=3), "heads"),
        (lambda: attention(kv_heads=0), "heads"),
        (lambda: attention(softcap=0.0), "softcap"),
        (lambda: attention(rope=RopeSpec(1e4, 8)), "rope.dims"),
        (lambda: attention(q_temperature=QueryTemperature(0.1, 0)), "q_temperature"),
        (lambda: attention(q_temperature=QueryTemperature(0.1, 8192, -1)), "q_temperature"),
        (lambda: attention(kv_source_layer=-1), "kv_source_layer"),
        (lambda: spec(kv_source_layer=0), "kv_source_layer"),
        (lambda: sharing_spec(kv_heads=4), "kv_source_layer"),
        (lambda: sharing_spec(kv_source_layer=1), "kv_source_layer"),
        (lambda: MLPSpec(8, "swish"), "mlp.activation"),  # type: ignore[arg-type]
        (lambda: MLPSpec(0), "mlp.width"),
        (lambda: MLPSpec(8, gated=False, clamp=GateClamp(1.702, 7.0)), "mlp.clamp"),
        (lambda: BlockSpec(attention(), MLPSpec(8), NORM, placement="post"), "placement"),  # type: ignore[arg-type]
        (lambda: BlockSpec(attention(), MLPSpec(8), NORM, per_layer_input=-1), "per_layer_input"),
        (lambda: BlockSpec(attention(), RouterSpec(4, 2), NORM), "feed_forward"),  # type: ignore[arg-type]
        (lambda: replace(spec(), blocks=()), "blocks"),
        (lambda: replace(spec(), vocab_size=0), "vocab_size"),
        (lambda: replace(spec(), final_softcap=-1.0), "final_softcap"),
        (lambda: replace(spec(), per_layer_embedding=8), "per_layer_input"),
    ],
)
def test_a_switch_that_is_not_computed_is_refused_by_name(change: Any, switch: str) -> None:
    with pytest.raises(UnsupportedConfig, match=switch):
        change()


def test_activations_are_those_of_torch() -> None:
    from limpide.layers.mlp import ACTIVATION_FUNCTIONS
    from limpide.layers.spec import ACTIVATIONS

    assert set(ACTIVATION_FUNCTIONS) == set(ACTIVATIONS)
    assert ACTIVATION_FUNCTIONS["silu"] is functional.silu
