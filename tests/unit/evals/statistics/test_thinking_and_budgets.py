"""Thinking on against off, and accuracy along a token budget."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics import budget_curve, mean_interval, thinking_gain


def test_thinking_is_paired_and_its_price_stands_beside_it() -> None:
    off, on = [0.0] * 20 + [1.0] * 30, [1.0] * 15 + [0.0] * 5 + [1.0] * 30
    gain = thinking_gain(off, on, [10.0] * 50, [float(110 + 10 * (item % 2)) for item in range(50)])
    assert gain.score.difference == pytest.approx(0.3)
    assert gain.tokens.difference == pytest.approx(105)
    assert gain.tokens.low < 105 < gain.tokens.high
    assert gain.points_per_thousand_tokens == pytest.approx(30 / 0.105)
    assert gain.test.p == pytest.approx(2 / 2**15)
    json.dumps(gain.as_dict(), allow_nan=False)


def test_thinking_that_costs_nothing_has_no_price() -> None:
    assert thinking_gain([0.0, 1.0], [1.0, 1.0], [5.0, 5.0], [5.0, 4.0]).points_per_thousand_tokens is None


def test_the_band_of_a_curve_holds_for_all_points_at_once() -> None:
    random = np.random.default_rng(0)
    held = {True: 0, False: 0}
    truth = {16: 0.4, 64: 0.5, 256: 0.6, 1024: 0.7}
    for _ in range(400):
        scores = {budget: list((random.random(150) < rate) * 1.0) for budget, rate in truth.items()}
        for simultaneous in held:
            curve = budget_curve(scores, scores, simultaneous=simultaneous)
            held[simultaneous] += all(
                point.score.low <= truth[point.budget] <= point.score.high for point in curve.points
            )
    assert held[True] / 400 >= 0.93
    assert held[False] / 400 < 0.88


def test_points_stand_in_order_and_say_what_their_intervals_are() -> None:
    scores = {64: [1.0, 0.0, 1.0], 16: [0.0, 0.0, 1.0]}
    tokens = {64: [60.0, 64.0, 50.0], 16: [16.0, 16.0, 12.0]}
    curve = budget_curve(scores, tokens, simultaneous=False)
    assert [point.budget for point in curve.points] == [16, 64]
    assert curve.points[0].score == mean_interval(scores[16])
    assert curve.as_dict()["intervals"] == "pointwise"
    assert budget_curve(scores, tokens).points[0].score.confidence == pytest.approx(0.975)


def test_budgets_with_other_items_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="budgets"):
        budget_curve({16: [1.0]}, {32: [1.0]})
    with pytest.raises(InvalidParameter, match="scores"):
        budget_curve({16: [1.0], 32: [1.0, 0.0]}, {16: [1.0], 32: [1.0, 0.0]})


def test_without_scipy_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(InvalidParameter, match="pip install scipy"):
        mean_interval([1.0, 0.0])
