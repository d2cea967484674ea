"""The mixture of experts, against every expert computed for every token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_spec import HIDDEN, NORM, attention, make_model, run, tokens
from torch import Tensor

from limpide.cache import PlainKV
from limpide.core.errors import InvalidParameter, UnsupportedConfig
from limpide.layers.moe import MoE
from limpide.layers.spec import BlockSpec, GateClamp, MLPSpec, MoESpec, RouterSpec
from limpide.layers.step import Step
from limpide.layers.taps import BLOCK_POINTS, Taps
from limpide.layers.weights import Weights
from limpide.models import CausalLM, ModelSpec
from limpide.models.parameters import parameters
from limpide.quant import QuantStack, QuantTensor, get_format

EXPERTS, CHOSEN, WIDTH, LENGTH = 6, 2, 32, 40
ROUTER = RouterSpec(EXPERTS, CHOSEN)
MIXTURES = {
    "plain": MoESpec(ROUTER, MLPSpec(WIDTH)),
    "biases and clamp": MoESpec(
        RouterSpec(EXPERTS, 3, order="topk_then_score", bias=True),
        MLPSpec(WIDTH, bias=True, clamp=GateClamp(1.702, 0.5)),
    ),
    "weight on input, shared expert": MoESpec(
        RouterSpec(EXPERTS, 1, score="sigmoid", renormalise=False, weight_on="input"),
        MLPSpec(WIDTH),
        shared=MLPSpec(64),
    ),
    "gated shared expert": MoESpec(ROUTER, MLPSpec(WIDTH), shared=MLPSpec(64), shared_gate=True),
    "no gate": MoESpec(ROUTER, MLPSpec(WIDTH, "gelu", gated=False, bias=True)),
    "router with a norm and scales": MoESpec(
        RouterSpec(EXPERTS, 2, norm=NORM, input_scale=0.3, expert_scale=True), MLPSpec(WIDTH)
    ),
    "corrected groups": MoESpec(
        RouterSpec(EXPERTS, 2, score="sigmoid", choice_bias=True, groups=3, groups_kept=2, scale=2.5), MLPSpec(WIDTH)
    ),
}


def model_spec(moe: MoESpec) -> ModelSpec:
    blocks = (BlockSpec(attention(), MLPSpec(WIDTH), NORM), BlockSpec(attention(), moe, NORM))
    return ModelSpec("test", 31, HIDDEN, 64, blocks=blocks, norm=NORM, tied=False)


@pytest.fixture(scope="module", params=MIXTURES)
def model(request: pytest.FixtureRequest) -> CausalLM:
    return make_model(model_spec(MIXTURES[request.param]))


def the_moe(model: CausalLM) -> Any:
    return model.blocks[1].mlp


def forward(moe: MoE, x: Tensor, taps: Taps | None = None) -> Tensor:
    with torch.inference_mode():
        result: Tensor = moe(x, Step(PlainKV([len(x)]), {}, taps))
        return result


def some(count: int, seed: int = 3) -> Tensor:
    return torch.randn(count, HIDDEN, generator=torch.Generator().manual_seed(seed))


def densely(moe: Any, x: Tensor) -> Tensor:
    """All experts for all tokens, zero weights for those not chosen."""
    spec = moe.spec
    seen: dict[str, Tensor] = {}
    forward(moe, x, Taps({f"blocks.1.moe.{p}": lambda t, p=p: seen.update({p: t}) for p in ("experts", "weights")}))
    weights = torch.zeros(len(x), EXPERTS).scatter(1, seen["experts"], seen["weights"])
    used = torch.zeros(len(x), EXPERTS).scatter(1, seen["experts"], 1.0)
    on_input = spec.router.weight_on == "input"
    total = torch.zeros_like(x)
    for expert in range(EXPERTS):
        read = x * weights[:, expert, None] if on_input else x
        result = by_hand(spec.expert, moe.experts, expert, read)
        total += result * (used if on_input else weights)[:, expert, None]
    if moe.shared is not None:
        shared = moe.shared
        extra = (torch.nn.functional.silu(x @ shared.gate.weight.T) * (x @ shared.up.weight.T)) @ shared.down.weight.T
        total += extra if moe.shared_gate is None else extra * torch.sigmoid(x @ moe.shared_gate.weight.T)
    return total


def by_hand(spec: MLPSpec, experts: Any, expert: int, x: Tensor) -> Tensor:
    def through(stack: Any, x: Tensor) -> Tensor:
        return x @ stack.weight[expert].T + (0 if stack.bias is None else stack.bias[expert])

    up = through(experts.up, x)
    if spec.clamp is not None:
        gate = torch.minimum(through(experts.gate, x), torch.tensor(spec.clamp.limit))
        neurons = (up.clamp(-spec.clamp.limit, spec.clamp.limit) + 1) * gate / (1 + torch.exp(-spec.clamp.alpha * gate))
    elif spec.gated:
        neurons = torch.nn.functional.silu(through(experts.gate, x)) * up
    else:
        neurons = torch.nn.functional.gelu(up)
    return through(experts.down, neurons)


def test_it_agrees_with_the_dense_sum(model: CausalLM) -> None:
    x = some(LENGTH)
    with torch.inference_mode():
        torch.testing.assert_close(forward(the_moe(model), x), densely(the_moe(model), x), rtol=1e-4, atol=1e-4)


def test_a_token_gives_the_same_bits_in_any_company(model: CausalLM) -> None:
    x = some(LENGTH)
    together = forward(the_moe(model), x)
    for count in (1, 3, 17):
        assert torch.equal(torch.cat([forward(the_moe(model), part) for part in x.split(count)]), together)


def test_experts_beside_an_mlp_are_normed_and_added() -> None:
    """The router reads the residual stream as it is, experts read it through a norm."""
    moe = MIXTURES["router with a norm and scales"]
    spec = model_spec(MIXTURES["plain"])
    beside_mlp = BlockSpec(attention(), MLPSpec(WIDTH), NORM, experts_beside=moe)
    spec = replace(spec, blocks=(spec.blocks[0], beside_mlp))
    block: Any = make_model(spec).blocks[1]
    x, mlp_output = some(LENGTH), some(LENGTH, seed=4)
    with torch.inference_mode():
        experts = block.beside.moe(block.beside.norm(x), Step(PlainKV([LENGTH]), {}, None), routed=x)
        expected = block.beside.mlp_post_norm(mlp_output) + block.beside.post_norm(experts)
        assert torch.equal(block.beside(mlp_output, x, Step(PlainKV([LENGTH]), {}, None)), expected)
        other = block.beside.moe(block.beside.norm(x), Step(PlainKV([LENGTH]), {}, None))
    assert not torch.allclose(other, experts)


def test_only_chosen_experts_are_asked_for() -> None:
    moe = the_moe(make_model(model_spec(MIXTURES["plain"])))
    asked: list[int] = []

    class Watched:
        shape = tuple(moe.experts.up.weight.shape)
        weight = moe.experts.up.weight

        def matrix(self, expert: int) -> Tensor:
            asked.append(expert)
            return self.weight[expert]

    with torch.inference_mode():
        expected = forward(moe, some(1))
        chosen: list[Tensor] = []
        forward(moe, some(1), Taps({"blocks.1.moe.experts": chosen.append}))
    weights = dict(moe.named_parameters()) | {"experts.up.weight": Watched()}
    watched = MoE(moe.spec, Weights(weights), 1)
    assert torch.equal(forward(watched, some(1)), expected)
    assert asked == sorted(chosen[0][0].tolist())


SHAPES = {
    "logits": (LENGTH, EXPERTS),
    "experts": (LENGTH, CHOSEN),
    "weights": (LENGTH, CHOSEN),
    "outputs": (LENGTH, CHOSEN, HIDDEN),
    "shared": (LENGTH, HIDDEN),
}
assert {f"moe.{point}" for point in SHAPES} == {point for point in BLOCK_POINTS if point.startswith("moe.")}
TAPPED = make_model(model_spec(MIXTURES["gated shared expert"]))


@pytest.mark.parametrize("point", SHAPES)
def test_a_point_can_be_read_and_replaced(point: str) -> None:
    ids, name = tokens(LENGTH), f"blocks.1.moe.{point}"
    plain = run(TAPPED, ids)
    seen: list[Tensor] = []
    assert torch.equal(run(TAPPED, ids, Taps({name: lambda x: seen.append(x.clone())})), plain)
    assert [tuple(x.shape) for x in seen] == [SHAPES[point]]
    assert torch.equal(run(TAPPED, ids, Taps({name: lambda _: seen[0]})), plain)
    replaced = run(TAPPED, ids, Taps({name: lambda x: x.roll(1, 0) if x.ndim > 1 else x}))
    assert float((replaced - plain).abs().max()) > 1e-3


def test_weights_follow_a_replaced_choice() -> None:
    """Sending every token through the best expert twice is giving that expert all the weight."""
    ids = tokens(LENGTH)
    twice = run(TAPPED, ids, Taps({"blocks.1.moe.experts": lambda x: x[:, :1].expand_as(x)}))
    alone = run(TAPPED, ids, Taps({"blocks.1.moe.weights": torch.eye(CHOSEN)[0].expand_as}))
    torch.testing.assert_close(twice, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", [torch.full((LENGTH, CHOSEN), EXPERTS), torch.full((LENGTH, CHOSEN), -1)])
def test_an_expert_that_is_not_there_is_refused(wrong: Tensor) -> None:
    with pytest.raises(InvalidParameter, match="experts"):
        run(TAPPED, tokens(LENGTH), Taps({"blocks.1.moe.experts": lambda _: wrong}))


def test_gradients_reach_router_and_chosen_experts() -> None:
    model = make_model(model_spec(MIXTURES["plain"]))
    moe = the_moe(model)
    for parameter in moe.parameters():
        parameter.requires_grad_()
    x = some(1)
    moe(x, Step(PlainKV([1]), {}, None)).square().sum().backward()
    assert float(moe.router.weight.grad.abs().max()) > 0
    used = {e for e in range(EXPERTS) if moe.experts.down.weight.grad[e].any()}
    assert len(used) == CHOSEN


def test_stored_blocks_agree_with_their_expansion() -> None:
    spec = model_spec(MIXTURES["biases and clamp"])
    generator = torch.Generator().manual_seed(0)
    expanded: dict[str, Tensor] = {}
    stored: dict[str, Any] = {}
    for name, shape in parameters(spec).items():
        half = torch.randn(shape, generator=generator).half()
        expanded[name] = stored[name] = half.float()
        if len(shape) > 1 and not name.endswith("bias"):
            rows = QuantTensor(
                get_format("F16"), (half[..., 0].numel(), shape[-1]), half.flatten(0, -2).view(torch.uint8)
            )
            stored[name] = QuantStack.split(rows, shape) if len(shape) == 3 else rows
    x = some(LENGTH)
    moes = [the_moe(CausalLM(spec, Weights(weights))) for weights in (stored, expanded)]
    torch.testing.assert_close(*(forward(moe, x) for moe in moes), rtol=1e-4, atol=1e-4)


def test_parameters_are_all_that_a_mixture_takes(model: CausalLM) -> None:
    weights = {name: torch.zeros(shape) for name, shape in parameters(model.spec).items()}
    for name in weights:
        with pytest.raises(KeyError, match=name.rsplit(".", 1)[0].replace(".", r"\.")):
            CausalLM(model.spec, Weights({k: v for k, v in weights.items() if k != name}))


def test_descriptions_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnsupportedConfig, match="shared_gate"):
        replace(MIXTURES["plain"], shared_gate=True)
    with pytest.raises(UnsupportedConfig, match="experts_beside"):
        BlockSpec(attention(), MIXTURES["plain"], NORM, experts_beside=MIXTURES["plain"])
    with pytest.raises(UnsupportedConfig, match=r"mlp\.clamp"):
        MLPSpec(3, gated=False, clamp=GateClamp(1.0, 1.0))
    with pytest.raises(UnsupportedConfig, match=r"mlp\.clamp"):
        GateClamp(1.0, 0.0)
