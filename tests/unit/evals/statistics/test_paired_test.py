"""p-values of paired comparisons, and Holm's correction of several."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics import averaged, holm, mcnemar_p, paired_test, sign_flip_test
from limpide.evals.statistics.permutation import DRAWS


def scores(gains: int, losses: int, same: int) -> tuple[list[float], list[float]]:
    return [0.0] * gains + [1.0] * (losses + same), [1.0] * gains + [0.0] * losses + [1.0] * same


@pytest.mark.parametrize(("gains", "losses", "p"), [(8, 0, 2 / 256), (10, 2, 2 * 79 / 4096), (3, 3, 1.0), (0, 0, 1.0)])
def test_mcnemar_is_a_fair_coin(gains: int, losses: int, p: float) -> None:
    assert mcnemar_p(*scores(gains, losses, 20)) == pytest.approx(p)
    assert sign_flip_test(*scores(gains, losses, 20)).p == pytest.approx(p)
    assert paired_test(*scores(gains, losses, 20), None).method == "exact McNemar"


def test_mcnemar_refuses_grades() -> None:
    with pytest.raises(InvalidParameter):
        mcnemar_p([0.5], [1.0])
    assert paired_test([0.5], [1.0], None).method == "exact sign flips"


def test_sign_flips_equal_all_ways_written_out() -> None:
    random = np.random.default_rng(0)
    a, b = random.random(12), random.random(12)
    sources = [str(index // 2) for index in range(12)]
    sums = (b - a).reshape(6, 2).sum(1)
    reached = [abs(np.dot(signs, sums)) >= abs(sums.sum()) - 1e-12 for signs in product((1, -1), repeat=6)]
    assert sign_flip_test(list(a), list(b), sources).p == pytest.approx(np.mean(reached))


def test_many_sources_are_drawn_from_a_seed() -> None:
    random = np.random.default_rng(0)
    a, b = random.random(100), random.random(100)
    drawn = sign_flip_test(list(a), list(b), seed=1)
    assert drawn == sign_flip_test(list(a), list(b), seed=1)
    assert drawn.p != sign_flip_test(list(a), list(b), seed=2).p
    assert "20,000" in drawn.method
    assert sign_flip_test([0.0] * 100, [1.0] * 100).p == pytest.approx(1 / (DRAWS + 1), rel=0.01)
    gains = scores(40, 20, 60)
    assert sign_flip_test(*gains).p == pytest.approx(mcnemar_p(*gains), abs=0.005)


def test_repeats_taken_for_items_find_what_is_not_there() -> None:
    """12 items of five repeats each: eight more right answers of B's, on two of the items.

    Taken for 60 items p is 0.0078, a certain loss for A; by item it is nothing at all.
    """
    pooled = scores(8, 0, 52)
    assert mcnemar_p(*pooled) == pytest.approx(0.0078, abs=0.00005)
    of_a = averaged({f"item-{item}": pooled[0][5 * item : 5 * item + 5] for item in range(12)})
    of_b = averaged({f"item-{item}": pooled[1][5 * item : 5 * item + 5] for item in range(12)})
    assert paired_test(list(of_a.values()), list(of_b.values()), None).p == 0.5
    with pytest.raises(InvalidParameter):
        averaged({"item-1": []})


def rejected(p_values: np.ndarray) -> float:
    """Share of experiments in which some true hypothesis is rejected at 5 %; the last three of ten are false."""
    wrong = 0
    for row in p_values:
        adjusted = holm({str(task): p for task, p in enumerate(row)})
        wrong += any(adjusted[str(task)] <= 0.05 for task in range(7))
    return wrong / len(p_values)


def test_holm_keeps_the_rate_over_all_tasks() -> None:
    random = np.random.default_rng(0)
    p_values = random.random((6000, 10))
    p_values[:, 7:] *= 1e-4
    assert 0.035 <= rejected(p_values) <= 0.056
    uncorrected = np.mean((p_values[:, :7] <= 0.05).any(1))
    assert uncorrected > 0.25


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert list(holm({"b": 0.5, "a": 0.9})) == ["b", "a"]
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
