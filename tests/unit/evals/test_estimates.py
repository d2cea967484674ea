"""Scores of records: repeats are no items, and items of one source are not independent."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest

from limpide.core.evidence import ItemRecord
from limpide.evals.estimates import are_passages, perplexity_estimate, score_estimate
from limpide.evals.statistics import mean_interval
from sample_evidence import RECORD


def records(*scores: tuple[str, str, float]) -> list[ItemRecord]:
    return [
        replace(RECORD, item=item, cluster=cluster, score=score, repeat=n)
        for n, (item, cluster, score) in enumerate(scores)
    ]


def test_repeats_are_averaged_before_anything_else() -> None:
    once = [(f"q{n}", f"q{n}", float(n % 3 == 0)) for n in range(12)]
    found = score_estimate(records(*(each for each in once for _ in range(5))))
    assert found == mean_interval([score for *_, score in once])
    assert found.items == 12


def test_items_of_one_source_belong_together() -> None:
    asked = [(f"q{n}", f"text {n // 6}", float(n // 6 in (0, 1, 3))) for n in range(36)]
    found = score_estimate(records(*asked))
    assert found == mean_interval([score for *_, score in asked], [cluster for _, cluster, _ in asked])
    alone = mean_interval([score for *_, score in asked])
    assert found.high - found.low > 1.5 * (alone.high - alone.low)


def passage(number: int, tokens: int, nats: float) -> ItemRecord:
    detail = {"tokens": tokens, "bytes": 4 * tokens}
    return replace(RECORD, item=f"at-{number}", cluster=f"at-{number}", score=nats, detail=detail)


def test_perplexity_is_that_of_all_tokens_together() -> None:
    found = perplexity_estimate([passage(0, 100, 200.0), passage(1, 300, 900.0), passage(2, 200, 500.0)])
    assert found.mean == pytest.approx(math.exp(1600 / 600))
    assert found.low < found.mean < found.high
    alike = perplexity_estimate([passage(n, 100 + n, 2.5 * (100 + n)) for n in range(8)])
    assert (alike.low, alike.high) == (pytest.approx(math.exp(2.5)), pytest.approx(math.exp(2.5)))
    assert perplexity_estimate([passage(0, 100, 250.0)]).as_dict()["high"] is None
    assert are_passages([passage(0, 1, 1.0)])
    assert not are_passages(records(("q", "q", 1.0)))


def test_the_interval_of_a_perplexity_holds_the_truth() -> None:
    random, held, trials = Random(7), 0, 600
    for _ in range(trials):
        lengths = [random.randint(50, 500) for _ in range(25)]
        made = [passage(n, size, size * random.gauss(3.0, 0.3)) for n, size in enumerate(lengths)]
        found = perplexity_estimate(made)
        held += found.low < math.exp(3.0) < found.high
    assert 0.92 < held / trials < 0.98
