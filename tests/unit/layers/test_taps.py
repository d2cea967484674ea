"""Every tap point can be read and replaced, and no tap changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_spec import HIDDEN, make_model, run, sandwich_spec, sharing_spec, spec, tokens
from torch import Tensor

from limpide.core.errors import InvalidParameter
from limpide.layers.taps import BLOCK_POINTS, MODEL_POINTS, Taps
from limpide.models import CausalLM

LENGTH = 11
HEADS, KV_HEADS, HEAD_DIM, WIDTH, VOCAB = 4, 2, 6, 20, 31
SHAPES = {
    "attn.input": (LENGTH, HIDDEN),
    "attn.q": (LENGTH, HEADS, HEAD_DIM),
    "attn.k": (LENGTH, KV_HEADS, HEAD_DIM),
    "attn.v": (LENGTH, KV_HEADS, HEAD_DIM),
    "attn.probs": (HEADS, LENGTH, LENGTH),
    "attn.heads": (LENGTH, HEADS, HEAD_DIM),
    "attn.output": (LENGTH, HIDDEN),
    "attn.update": (LENGTH, HIDDEN),
    "mid": (LENGTH, HIDDEN),
    "mlp.input": (LENGTH, HIDDEN),
    "mlp.gate": (LENGTH, WIDTH),
    "mlp.up": (LENGTH, WIDTH),
    "mlp.neurons": (LENGTH, WIDTH),
    "mlp.output": (LENGTH, HIDDEN),
    "mlp.update": (LENGTH, HIDDEN),
    "output": (LENGTH, HIDDEN),
}
OPTIONAL = {"per_layer.update", "attn.latent"}
"""Points of some models only; tested below, and with the layers that have them."""
MODEL_SHAPES = {"embed": (LENGTH, HIDDEN), "norm": (LENGTH, HIDDEN), "logits": (LENGTH, VOCAB)}
ALL = {f"blocks.1.{point}": shape for point, shape in SHAPES.items()} | MODEL_SHAPES


@pytest.fixture(scope="module", params=[spec, sandwich_spec], ids=["pre", "sandwich"])
def model(request: pytest.FixtureRequest) -> CausalLM:
    return make_model(request.param())


def test_the_table_is_what_is_tested() -> None:
    """Points of mixtures of experts are tested with those."""
    assert {*SHAPES, *OPTIONAL} == {point for point in BLOCK_POINTS if not point.startswith("moe.")}
    assert set(MODEL_SHAPES) == set(MODEL_POINTS)


@pytest.mark.parametrize("name", ALL)
def test_a_point_can_be_read_without_changing_anything(model: CausalLM, name: str) -> None:
    seen: list[Tensor] = []
    tapped = run(model, tokens(LENGTH), Taps({name: lambda x: seen.append(x.clone())}))
    assert [tuple(x.shape) for x in seen] == [ALL[name]]
    assert float(seen[0].std()) > 0
    torch.testing.assert_close(tapped, run(model, tokens(LENGTH)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_a_point_can_be_replaced(model: CausalLM, name: str) -> None:
    plain = run(model, tokens(LENGTH))
    replaced = run(model, tokens(LENGTH), Taps({name: lambda x: x.roll(1, -1) * 1.5}))
    assert float((replaced - plain).abs().max()) > 1e-3


@pytest.mark.parametrize("name", ALL)
def test_putting_back_what_was_read_changes_nothing(model: CausalLM, name: str) -> None:
    """So a point's replacement is all that the rest of the pass depends on there."""
    seen: list[Tensor] = []
    run(model, tokens(LENGTH), Taps({name: lambda x: seen.append(x.clone())}))
    torch.testing.assert_close(
        run(model, tokens(LENGTH), Taps({name: lambda _: seen[0]})), run(model, tokens(LENGTH)), rtol=1e-5, atol=1e-5
    )


def test_ablating_a_head_is_zeroing_its_columns_of_the_output_projection(model: CausalLM) -> None:
    def ablate(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, 2] = 0
        return x

    ablated = run(model, tokens(LENGTH), Taps({"blocks.1.attn.heads": ablate}))
    edited = make_model(model.spec)
    columns = slice(2 * HEAD_DIM, 3 * HEAD_DIM)
    weight: Any = edited.blocks[1].attn.o.weight
    weight[:, columns] = 0
    torch.testing.assert_close(ablated, run(edited, tokens(LENGTH)), rtol=1e-5, atol=1e-6)
    assert float((ablated - run(model, tokens(LENGTH))).abs().max()) > 1e-2


def test_probabilities_are_of_what_each_query_may_see(model: CausalLM) -> None:
    seen: list[Tensor] = []
    run(model, tokens(LENGTH), Taps({"blocks.0.attn.probs": seen.append}))
    (probs,) = seen
    torch.testing.assert_close(probs.sum(-1), torch.ones(HEADS, LENGTH))
    assert not probs.triu(1).any()
    mask = model.spec.blocks[0].attention.mask
    if mask.kind == "window":
        assert not probs.tril(-mask.size).any()


def test_no_taps_and_empty_taps_compute_the_same_bits(model: CausalLM) -> None:
    assert torch.equal(run(model, tokens(LENGTH)), run(model, tokens(LENGTH), Taps({})))


def test_an_untapped_point_hands_on_the_same_object() -> None:
    x = torch.ones(2)
    assert Taps({"norm": lambda x: x + 1})("embed", x) is x
    assert Taps({"embed": lambda _: None})("embed", x) is x


@pytest.mark.parametrize(
    "name",
    ["", "nowhere", "blocks.1", "blocks.1.", "blocks.x.mid", "blocks.01.mid", "blocks.-1.mid", "mid", "blocks.0.embed"],
)
def test_a_name_that_is_no_point_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="tap"):
        Taps({name: lambda _: None})


def test_a_block_that_is_not_there_is_refused(model: CausalLM) -> None:
    with pytest.raises(InvalidParameter, match="blocks 0 to 2"):
        run(model, tokens(LENGTH), Taps({"blocks.3.mid": lambda _: None}))


def test_a_replacement_of_another_shape_is_refused(model: CausalLM) -> None:
    with pytest.raises(InvalidParameter, match=r"blocks\.0\.mid"):
        run(model, tokens(LENGTH), Taps({"blocks.0.mid": lambda x: x[:1]}))


def test_gradients_reach_a_replaced_point(model: CausalLM) -> None:
    from limpide.cache import PlainKV

    offset = torch.zeros(HIDDEN, requires_grad=True)
    hidden = model(
        tokens(LENGTH),
        torch.arange(LENGTH),
        PlainKV([LENGTH]),
        taps=Taps({"blocks.0.attn.output": lambda x: x + offset}),
    )
    model.logits(hidden).square().sum().backward()
    assert offset.grad is not None
    assert float(offset.grad.abs().min()) > 0


def test_what_a_second_embedding_adds_can_be_read_and_replaced() -> None:
    model, name, seen = make_model(sharing_spec()), "blocks.1.per_layer.update", []
    plain = run(model, tokens(LENGTH))
    read = run(model, tokens(LENGTH), Taps({name: lambda x: seen.append(x.clone())}))
    torch.testing.assert_close(read, plain, rtol=1e-5, atol=1e-5)
    assert [tuple(x.shape) for x in seen] == [(LENGTH, HIDDEN)]
    assert float((run(model, tokens(LENGTH), Taps({name: torch.zeros_like})) - plain).abs().max()) > 1e-3


def test_a_layer_that_uses_anothers_keys_has_none_to_tap() -> None:
    model, seen = make_model(sharing_spec()), []
    names = [f"blocks.{layer}.attn.{part}" for layer in range(3) for part in ("q", "k", "v")]
    run(model, tokens(LENGTH), Taps({name: lambda x, name=name: seen.append(name) for name in names}))
    assert seen == [*names[:6], "blocks.2.attn.q"]
