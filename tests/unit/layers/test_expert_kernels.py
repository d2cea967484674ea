"""Experts by kernels, against the plain path on the same stored blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from limpide.kernels import library
from limpide.kernels.buffers import Buffers
from limpide.kernels.matmul import FEW
from limpide.layers.moe import Experts, Router
from limpide.layers.spec import GateClamp, MLPSpec, RouterSpec
from limpide.layers.weights import Weights
from limpide.quant import Layout, QuantStack, QuantTensor, get_format

EXPERTS, CHOSEN, HIDDEN, WIDTH = 6, 3, 256, 256
CLAMPED = MLPSpec(WIDTH, bias=True, clamp=GateClamp(1.702, 1.5))
KINDS = {
    "gpt-oss": ("MXFP4", CLAMPED),
    "qwen": ("Q4_K", MLPSpec(WIDTH)),
    "gemma": ("Q8_0", MLPSpec(WIDTH, "gelu_tanh")),
}

pytestmark = pytest.mark.skipif(not library.available(), reason="no kernels on this machine")


def matrix(stored: str, rows: int, columns: int, generator: torch.Generator) -> QuantTensor:
    """Random blocks that make small numbers."""
    kind = get_format(stored)
    blocks = torch.randint(0, 256, (rows * columns // kind.block_size, kind.block_bytes), generator=generator)
    blocks = blocks.to(torch.uint8)
    if stored == "MXFP4":
        blocks[:, 0] = torch.randint(118, 123, (len(blocks),), generator=generator).to(torch.uint8)
    else:
        for at in (0, 2) if stored == "Q4_K" else (0,):
            factors = torch.rand(len(blocks), 1, generator=generator) * 2e-3
            blocks[:, at : at + 2] = factors.to(torch.float16).view(torch.uint8)
    return QuantTensor(kind, (rows, columns), blocks.view(rows, -1))


def tensors(stored: str, spec: MLPSpec, seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, Any] = {}
    for name, rows, columns in (("gate", spec.width, HIDDEN), ("up", spec.width, HIDDEN), ("down", HIDDEN, spec.width)):
        matrices = tuple(matrix(stored, rows, columns, generator) for _ in range(EXPERTS))
        made[f"{name}.weight"] = QuantStack((EXPERTS, rows, columns), matrices)
        made[f"{name}.bias"] = torch.randn(EXPERTS, rows, generator=generator)
    return made


def make(kind: str) -> Experts:
    stored, spec = KINDS[kind]
    experts = Experts(spec, Weights(tensors(stored, spec)))
    assert experts._kernels is not None
    return experts


def some(tokens: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Activations, chosen experts, weights."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, HIDDEN, generator=generator)
    chosen = torch.rand(tokens, EXPERTS, generator=generator).topk(CHOSEN).indices
    return x, chosen, torch.rand(tokens, CHOSEN, generator=generator)


def plainly(experts: Experts, x: Tensor, chosen: Tensor, weights: Tensor | None) -> Tensor:
    """Every expert's matrices unpacked, in float32: nothing is rounded."""
    results = torch.empty(*chosen.shape, HIDDEN)
    for expert in range(EXPERTS):
        for token, place in (chosen == expert).nonzero().tolist():
            read = x[token] if weights is None else x[token] * weights[token, place]
            gate, up = (through(stack, expert, read) for stack in (experts.gate, experts.up))
            results[token, place] = through(experts.down, expert, experts._neurons(gate[None], up[None])[0])
    return results


def through(stack: Any, expert: int, x: Tensor) -> Tensor:
    y: Tensor = stack.matrix(expert).unpack() @ x
    return y if stack.bias is None else y + stack.vector(expert)


@pytest.mark.parametrize("on_input", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_near_the_unrounded_experts(kind: str, on_input: bool) -> None:
    experts = make(kind)
    with torch.inference_mode():
        for tokens in (1, 5, 40):  # 40: some experts have many rows
            x, chosen, weights = some(tokens)
            assert tokens < 40 or int(chosen.flatten().bincount().max()) > FEW
            expected = plainly(experts, x, chosen, weights if on_input else None)
            got = experts(x, chosen, weights if on_input else None)
            assert (got - expected).norm() / expected.norm() < 8e-3, tokens


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_gives_the_same_bits_in_any_company(kind: str) -> None:
    experts = make(kind)
    x, chosen, weights = some(50)
    with torch.inference_mode():
        for weighed in (None, weights):
            together = experts(x, chosen, weighed)
            for size in (1, 2, 7, 31):
                parts = [
                    experts(*part[:2], part[2] if weighed is not None else None)
                    for part in zip(x.split(size), chosen.split(size), weights.split(size), strict=True)
                ]
                assert torch.equal(torch.cat(parts), together), size


def test_results_stay_when_the_next_layer_uses_the_buffers() -> None:
    experts, buffers = make("gpt-oss"), Buffers()
    with torch.inference_mode():
        for tokens in (1, 9):
            x, chosen, _ = some(tokens)
            first = experts(x, chosen, None, buffers)
            kept = first.clone()
            experts(-x, chosen, None, buffers)
            assert torch.equal(first, kept)


@pytest.mark.parametrize("part", ["gate", "up", "down"])
@pytest.mark.parametrize("what", ["weight", "bias"])
def test_every_matrix_and_bias_counts(part: str, what: str) -> None:
    stored, spec = KINDS["gpt-oss"]
    x, chosen, _ = some(9)
    other = tensors(stored, spec) | {f"{part}.{what}": tensors(stored, spec, 5)[f"{part}.{what}"]}
    with torch.inference_mode():
        usual, changed = (Experts(spec, Weights(each))(x, chosen) for each in (tensors(stored, spec), other))
    assert float((usual - changed).norm() / usual.norm()) > 0.1


@pytest.mark.parametrize(("first", "second"), [("first", "second"), ("even", "odd")])
def test_gate_and_up_that_are_stored_together(first: Any, second: Any) -> None:
    stored, spec = KINDS["qwen"]
    apart = tensors(stored, spec)
    both = []
    for gate, up in zip(apart["gate.weight"].stored, apart["up.weight"].stored, strict=True):
        stacked = torch.stack((gate.data, up.data)) if first == "first" else torch.stack((gate.data, up.data), dim=1)
        data = stacked.view(2 * WIDTH, -1).contiguous()
        both.append(QuantTensor(get_format(stored), (2 * WIDTH, HIDDEN), data))
    joined = apart | {
        f"{name}.weight": QuantStack((EXPERTS, WIDTH, HIDDEN), tuple(both), Layout(part))
        for name, part in (("gate", first), ("up", second))
    }
    x, chosen, _ = some(12)
    made = Experts(spec, Weights(joined))
    assert made._kernels is not None
    with torch.inference_mode():
        assert torch.equal(made(x, chosen), Experts(spec, Weights(apart))(x, chosen))


def test_matrices_of_different_formats() -> None:
    mixed = {**tensors("Q4_K", KINDS["qwen"][1]), "up.weight": tensors("Q8_0", MLPSpec(WIDTH))["up.weight"]}
    experts = Experts(MLPSpec(WIDTH), Weights(mixed))
    assert experts._kernels is not None
    x, chosen, _ = some(5)
    with torch.inference_mode():
        expected = plainly(experts, x, chosen, None)
        assert (experts(x, chosen) - expected).norm() / expected.norm() < 8e-3


@pytest.mark.parametrize(
    ("stored", "spec"),
    [
        ("F16", MLPSpec(WIDTH)),
        ("Q4_K", MLPSpec(WIDTH, "relu")),
        ("Q4_K", MLPSpec(WIDTH, gated=False)),
    ],
)
def test_what_the_kernels_cannot_do_is_left_to_torch(stored: str, spec: MLPSpec) -> None:
    assert Experts(spec, Weights(tensors(stored, spec)))._kernels is None


def test_expanded_weights_and_gradients_are_left_to_torch() -> None:
    stored, spec = KINDS["gpt-oss"]
    made = tensors(stored, spec)
    expanded = {name: t.unpack() if isinstance(t, QuantStack) else t for name, t in made.items()}
    assert Experts(spec, Weights(expanded))._kernels is None
    x, chosen, _ = some(2)
    x.requires_grad_()
    make("gpt-oss")(x, chosen).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0


def test_alpha_and_limit_are_those_of_the_description() -> None:
    x, chosen, _ = some(3)
    made = tensors("MXFP4", CLAMPED)
    with torch.inference_mode():
        for clamp in (GateClamp(1.702, 7.0), GateClamp(0.5, 0.25)):
            experts = Experts(replace(CLAMPED, clamp=clamp), Weights(made))
            expected = plainly(experts, x, chosen, None)
            assert (experts(x, chosen) - expected).norm() / expected.norm() < 8e-3


def test_the_router_by_kernels_scores_each_token_alone_and_like_torch() -> None:
    generator = torch.Generator().manual_seed(4)
    weight, bias = torch.randn(37, 96, generator=generator), torch.randn(37, generator=generator)
    weights = Weights({"weight": weight, "bias": bias})
    router, plain = (Router(RouterSpec(37, 2, bias=True), weights, by_kernels=by) for by in (True, False))
    x = torch.randn(40, 96, generator=generator)
    with torch.inference_mode():
        together = router(x)
        torch.testing.assert_close(together, plain(x), rtol=1e-5, atol=1e-5)
        assert torch.equal(torch.cat([router(row[None]) for row in x]), together)
        assert not torch.equal(together, plain(x)), "two ways to add up"
    assert torch.equal(router(x), plain(x)), "where gradients may be wanted, torch computes"
