"""Routing rules, against one token at a time in plain Python."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from limpide.core.errors import UnsupportedConfig
from limpide.layers.router import route, weigh
from limpide.layers.spec import RouterSpec

TOKENS, EXPERTS, CHOSEN = 50, 12, 3

RULES: dict[str, dict[str, Any]] = {
    "softmax, renormalised": {},
    "softmax, as it is": {"renormalise": False},
    "best logits, then softmax": {"order": "topk_then_score"},
    "sigmoid": {"score": "sigmoid", "renormalise": False},
    "best logits, then sigmoid": {"score": "sigmoid", "order": "topk_then_score", "renormalise": False},
    "sigmoid, corrected, scaled": {"score": "sigmoid", "choice_bias": True, "scale": 2.5},
    "softmax, corrected": {"choice_bias": True},
    "groups": {"score": "sigmoid", "groups": 4, "groups_kept": 2},
    "everything": {"score": "sigmoid", "choice_bias": True, "groups": 3, "groups_kept": 1, "scale": 0.5},
}


def rule(**changes: Any) -> RouterSpec:
    return RouterSpec(**({"experts": EXPERTS, "chosen": CHOSEN} | changes))


def by_hand(spec: RouterSpec, logits: list[float], bias: list[float]) -> dict[int, float]:
    def scores(values: list[float]) -> list[float]:
        if spec.score == "sigmoid":
            return [1 / (1 + math.exp(-v)) for v in values]
        powers = [math.exp(v) for v in values]
        return [p / sum(powers) for p in powers]

    early = spec.order == "score_then_topk"
    wanted = [s + b for s, b in zip(scores(logits) if early else logits, bias, strict=True)]
    size = spec.experts // spec.groups
    groups = [wanted[i : i + size] for i in range(0, spec.experts, size)]
    ranked = sorted(range(spec.groups), key=lambda g: -sum(sorted(groups[g])[-2:]))
    allowed = [e for e in range(spec.experts) if spec.groups == 1 or e // size in ranked[: spec.groups_kept]]
    chosen = sorted(allowed, key=lambda e: -wanted[e])[: spec.chosen]
    weights = [scores(logits)[e] for e in chosen] if early else scores([logits[e] for e in chosen])
    if spec.renormalise:
        weights = [w / sum(weights) for w in weights]
    return {e: w * spec.scale for e, w in zip(chosen, weights, strict=True)}


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_agrees_with_its_definition(name: str) -> None:
    spec = rule(**RULES[name])
    logits, bias = some(TOKENS, EXPERTS) * 2, some(EXPERTS, seed=1) * 0.3 * spec.choice_bias
    routing = route(spec, logits, bias if spec.choice_bias else None)
    assert routing.logits is logits
    for token in range(TOKENS):
        expected = by_hand(spec, logits[token].tolist(), bias.tolist())
        assert routing.experts[token].tolist() == list(expected)
        assert routing.weights[token].tolist() == pytest.approx(list(expected.values()), rel=1e-5)


def test_rules_differ() -> None:
    """So each rule above is told from the others."""
    logits, bias = some(TOKENS, EXPERTS) * 2, some(EXPERTS, seed=1) * 0.3
    results = [route(spec := rule(**r), logits, bias if spec.choice_bias else None) for r in RULES.values()]
    dense = [torch.zeros(TOKENS, EXPERTS).scatter(1, r.experts, r.weights) for r in results]
    same = {(i, j) for i in range(len(dense)) for j in range(i) if torch.allclose(dense[i], dense[j], atol=1e-4)}
    # Renormalised, a softmax over all is a softmax over the chosen; a sigmoid keeps the order of logits.
    assert same == {(2, 0), (4, 3)}


@pytest.mark.parametrize("name", RULES)
def test_a_token_is_routed_alike_in_any_company(name: str) -> None:
    spec = rule(**RULES[name])
    logits, bias = some(TOKENS, EXPERTS), some(EXPERTS, seed=1) if spec.choice_bias else None
    together = route(spec, logits, bias)
    for count in (1, 2, 7, 33):
        apart = [route(spec, part, bias) for part in logits.split(count)]
        assert torch.equal(torch.cat([r.experts for r in apart]), together.experts)
        assert torch.equal(torch.cat([r.weights for r in apart]), together.weights)


@pytest.mark.parametrize("name", RULES)
def test_weights_of_a_given_choice(name: str) -> None:
    spec = rule(**RULES[name])
    logits = some(TOKENS, EXPERTS)
    routing = route(spec, logits, some(EXPERTS, seed=1) if spec.choice_bias else None)
    assert torch.equal(weigh(spec, logits, routing.experts), routing.weights)
    turned = weigh(spec, logits, routing.experts.flip(1))
    torch.testing.assert_close(turned, routing.weights.flip(1))


def test_scores_that_are_all_zero_give_no_nan() -> None:
    logits = torch.full((1, EXPERTS), -200.0)
    assert route(rule(score="sigmoid"), logits).weights.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "switch"),
    [
        ({"experts": 0}, "experts"),
        ({"experts": 1 << 20}, "experts"),
        ({"chosen": 0}, "chosen"),
        ({"chosen": EXPERTS + 1}, "chosen"),
        ({"score": "relu"}, "score"),
        ({"order": "sideways"}, "order"),
        ({"weight_on": "both"}, "weight_on"),
        ({"scale": 0.0}, "scale"),
        ({"groups": 0}, "groups"),
        ({"groups": 5}, "groups"),
        ({"groups": EXPERTS}, "groups"),
        ({"groups": 4, "groups_kept": 5}, "groups_kept"),
        ({"groups": 6, "groups_kept": 1}, "chosen"),
        ({"order": "topk_then_score", "choice_bias": True}, "order"),
        ({"order": "topk_then_score", "groups": 2}, "order"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(changes: dict[str, Any], switch: str) -> None:
    with pytest.raises(UnsupportedConfig, match=rf"router\.{switch}"):
        rule(**changes)
