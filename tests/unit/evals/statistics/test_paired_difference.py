"""Paired differences and verdicts with a margin: what they cover and how often they are wrong, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from simulated import INDEPENDENT, Regime, coverage, uneven

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics import Verdict, items_needed, non_inferiority, paired_difference
from limpide.evals.statistics.clusters import cluster_sums
from limpide.evals.statistics.distributions import Array
from limpide.evals.statistics.mean import unbounded_interval
from limpide.evals.statistics.paired import tango_interval

PAIRS = [
    Regime("independent", (1,) * 200, INDEPENDENT, -0.03, disagreement=0.1),
    Regime("independent, 688", (1,) * 688, INDEPENDENT, -0.03, disagreement=0.1),
    Regime("sources", (5,) * 60, 0.3, -0.03, disagreement=0.2),
    Regime("many sources", (4,) * 150, 0.3, -0.03, disagreement=0.1),
    Regime("few sources", (20,) * 10, 0.1, -0.05, disagreement=0.3),
    Regime("uneven sources", uneven(40, 20), 0.2, -0.05, disagreement=0.2),
    Regime("hardly a disagreement", (5,) * 60, 0.2, -0.03, disagreement=0.05),
]
Bounds = Callable[[Array, list[str], float], tuple[Array, Array]]


def ours(differences: Array, clusters: list[str], confidence: float) -> tuple[Array, Array]:
    gains = cluster_sums(np.maximum(differences, 0), clusters)
    return tango_interval(cluster_sums(differences, clusters), gains, confidence)


def ignoring_clusters(differences: Array, clusters: list[str], confidence: float) -> tuple[Array, Array]:
    return tango_interval(cluster_sums(differences), cluster_sums(np.maximum(differences, 0)), confidence)


def mean_and_t(differences: Array, clusters: list[str], confidence: float) -> tuple[Array, Array]:
    return unbounded_interval(cluster_sums(differences, clusters), confidence)


def not_significant_is_not_worse(differences: Array, clusters: list[str], confidence: float) -> tuple[Array, Array]:
    """The usual error: no significant difference, so B is as good. The lower end is then 0 if the upper is above."""
    _, high = ours(differences, clusters, confidence)
    return np.where(high >= 0, 0.0, -1.0), high


def wrong_verdicts(bounds: Bounds) -> dict[str, tuple[float, float]]:
    """Regimes in which B is worse by just the margin: shares of NOT WORSE and of WORSE, where one is above 5 %.

    A share of 6,000 has a standard error of 0.3 points, which the limit allows twice.
    """
    wrong = {}
    for regime in PAIRS:
        low, high = bounds(regime.differences(), regime.clusters, 0.9)
        shares = float(np.mean(low > regime.truth)), float(np.mean(high < regime.truth))
        if max(shares) > 0.056:
            wrong[regime.name] = shares
    return wrong


def test_intervals_cover_95_percent() -> None:
    covered = {r.name: coverage(lambda d, c: ours(d, c, 0.95), r, r.differences()) for r in PAIRS}
    assert {name: share for name, share in covered.items() if not 0.94 <= share <= 0.975} == {}
    assert all(covered[name] <= 0.965 for name in covered if name != "hardly a disagreement"), covered


def test_a_wrong_verdict_at_the_margin_is_as_rare_as_it_says() -> None:
    assert wrong_verdicts(ours) == {}


@pytest.mark.parametrize("broken", [ignoring_clusters, mean_and_t, not_significant_is_not_worse])
def test_the_check_finds_what_is_broken(broken: Bounds) -> None:
    assert wrong_verdicts(broken)


def test_repeats_taken_for_items_make_wrong_verdicts() -> None:
    """Five repeats of each of 60 items, at the margin: averaged 5 % at most, as 300 items far more."""
    regime = Regime("repeats", (5,) * 60, 0.6, -0.1, disagreement=0.4)
    drawn = regime.differences()
    averaged = drawn.reshape(len(drawn), 60, 5).mean(-1)
    low, _ = ours(averaged, [str(item) for item in range(60)], 0.9)
    assert np.mean(low > -0.1) <= 0.056
    low, _ = ignoring_clusters(drawn, [], 0.9)
    assert np.mean(low > -0.1) > 0.15


def test_unpaired_is_far_too_wide() -> None:
    """Without their pairs: what makes an item hard stays in, and the interval covers all but always."""
    random = np.random.default_rng(0)
    hard = random.random((4000, 200)) < 0.5
    a = np.where(random.random(hard.shape) < 0.03, ~hard, hard) * 1.0
    b = np.where(random.random(hard.shape) < 0.03, ~hard, hard) * 1.0
    items = [str(item) for item in range(200)]
    low, high = ours(b - a, items, 0.95)
    assert 0.94 <= np.mean((low <= 0) & (high >= 0)) <= 0.965
    half = 1.96 * np.sqrt((a.var(-1) + b.var(-1)) / 200)
    assert np.mean(np.abs((b - a).mean(-1)) <= half) > 0.999
    assert np.mean(half) > 2 * np.mean((high - low) / 2)


def test_the_ends_solve_tangos_equation() -> None:
    """Tango's statistic, with counts and likelihood, is the quantile at both ends: 12 gains, 5 losses of 60."""
    a, b = [0.0] * 12 + [1.0] * 5 + [1.0] * 43, [1.0] * 12 + [0.0] * 5 + [1.0] * 43
    found = paired_difference(a, b)
    for end in (found.low, found.high):
        # The likeliest share of losses q under the hypothesis, gains being q + end, by search.
        q = np.linspace(max(0, -end) + 1e-9, (1 - end) / 2 - 1e-9, 2_000_001)
        likeliest = q[np.argmax(12 * np.log(q + end) + 5 * np.log(q) + 43 * np.log(1 - 2 * q - end))]
        statistic = (12 - 5 - 60 * end) / math.sqrt(60 * (2 * likeliest + end - end**2))
        # One item fewer: the effective number takes the variance with n − 1.
        assert abs(statistic) * math.sqrt(59 / 60) == pytest.approx(2.001, abs=0.002)  # t with 59 degrees
    assert found.low < 7 / 60 < found.high
    assert (found.better, found.worse, found.disagreement) == (12, 5, 17 / 60)


def test_graded_scores_have_narrower_intervals_than_their_rounding() -> None:
    random = np.random.default_rng(1)
    a = random.random(200)
    b = np.clip(a + random.normal(0, 0.05, 200), 0, 1)
    graded = paired_difference(list(a), list(b))
    rounded = paired_difference(list(np.round(a)), list(np.round(b)))
    assert graded.high - graded.low < (rounded.high - rounded.low) / 2


def test_never_disagreeing_is_not_certain() -> None:
    """300 items without a disagreement bound the difference by about 1 %; in 30 sources, by as much as 30 items."""
    same = [1.0, 0.0, 1.0] * 100
    low = paired_difference(same, same, confidence=0.9).low
    assert -0.0100 < low < -0.0080
    clustered = paired_difference(same, same, [str(index // 10) for index in range(300)], confidence=0.9)
    assert clustered.low < -0.08
    assert non_inferiority(same[:30], same[:30], margin=0.03).verdict is Verdict.UNDECIDED
    assert non_inferiority(same, same, margin=0.03).verdict is Verdict.NOT_WORSE
    assert paired_difference([1.0], [0.0]).low == -1


def mixed(items: int, gains: int, losses: int) -> tuple[list[float], list[float]]:
    same = items - gains - losses
    return [0.0] * gains + [1.0] * losses + [1.0] * same, [1.0] * gains + [0.0] * losses + [1.0] * same


def test_verdicts() -> None:
    assert non_inferiority(*mixed(1000, 50, 50), margin=0.03).verdict is Verdict.NOT_WORSE
    assert non_inferiority(*mixed(1000, 20, 120), margin=0.03).verdict is Verdict.WORSE
    undecided = non_inferiority(*mixed(200, 10, 10), margin=0.03)
    assert undecided.verdict is Verdict.UNDECIDED
    assert undecided.further_items == 687 - 200
    assert undecided.assuming == "equally good"
    # Significantly worse, yet by less than the margin: that is what the margin says one may lose.
    small = non_inferiority(*mixed(4000, 10, 60), margin=0.03)
    assert small.interval.high < 0
    assert small.verdict is Verdict.NOT_WORSE


def test_the_further_items_settle_it() -> None:
    """As many items as it asks for give NOT WORSE with a chance of about 80 %, if the two are equally good."""
    needed = items_needed(0.1, 0.03)
    regime = Regime("as planned", (1,) * needed, INDEPENDENT, 0.0, disagreement=0.1)
    low, _ = ours(regime.differences(), regime.clusters, 0.9)
    assert 0.77 <= np.mean(low > -0.03) <= 0.83


def test_items_needed_agree_with_the_published_figure() -> None:
    """6.18·d/δ²: with quantiles of three digits, 1.645 and 0.842, 688 for d = 10 % and three points; exactly 687."""
    assert math.ceil((1.645 + 0.842) ** 2 * 0.1 / 0.03**2) == 688
    assert items_needed(0.1, 0.03) == 687
    assert items_needed(0.1, 0.03, design_effect=3) == pytest.approx(3 * 687, abs=3)


def test_when_enough_items_did_not_settle_it_the_observed_difference_counts() -> None:
    result = non_inferiority(*mixed(1000, 35, 60), margin=0.03)
    assert result.verdict is Verdict.UNDECIDED
    assert result.assuming == "as far apart as observed"
    assert result.further_items is not None
    assert result.further_items > 1000
    assert non_inferiority(*mixed(1000, 30, 60), margin=0.03).further_items is None  # at the margin no number tells


@pytest.mark.parametrize("margin", [0, -0.01, 1, math.nan])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(InvalidParameter, match="margin"):
        non_inferiority([1.0], [1.0], margin=margin)


def test_models_with_other_items_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="scores"):
        paired_difference([1.0], [1.0, 0.0])
    with pytest.raises(InvalidParameter, match="scores"):
        paired_difference([1.0, 2.0], [1.0, 0.0])
    with pytest.raises(InvalidParameter):
        items_needed(0.1, 0)
