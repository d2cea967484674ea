"""Looking early: the boundaries are the published ones, and the error rate stays."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import INDEPENDENT, Regime

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics import Verdict, plan_looks, sequential_verdict
from limpide.evals.statistics.clusters import cluster_sums
from limpide.evals.statistics.paired import tango_interval
from limpide.evals.statistics.sequential import SequentialPlan

FLAT = SequentialPlan((100, 200, 300, 400, 500), 0.05, (0.05,) * 5)
"""What one does without a plan: 5 % at each look."""


def stopped(plan: SequentialPlan, regime: Regime, margin: float) -> tuple[float, float]:
    """Share of experiments that ever say NOT WORSE, and the mean number of items until then or the end."""
    drawn = regime.differences()
    said = np.zeros(len(drawn), dtype=bool)
    items = np.zeros(len(drawn))
    for look, level in zip(plan.looks, plan.nominal, strict=True):
        items[~said] = look
        sources = regime.clusters[:look]
        seen = drawn[:, :look]
        gains = cluster_sums(np.maximum(seen, 0), sources)
        low, _ = tango_interval(cluster_sums(seen, sources), gains, 1 - 2 * level)
        said |= low > -margin
    return float(said.mean()), float(items.mean())


@pytest.mark.parametrize(
    ("alpha", "published"),
    [
        (0.025, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        (0.05, (4.2292, 2.8881, 2.2981, 1.9620, 1.7397)),
    ],
)
def test_boundaries_are_those_of_lan_and_demets(alpha: float, published: tuple[float, ...]) -> None:
    assert plan_looks((100, 200, 300, 400, 500), alpha=alpha).boundaries == pytest.approx(published, abs=0.001)


def test_one_look_is_the_plain_test() -> None:
    assert plan_looks((50,)).nominal == pytest.approx((0.05,))


def test_boundaries_keep_alpha_for_uneven_looks() -> None:
    plan = plan_looks((37, 250, 260, 900))
    random = np.random.default_rng(0)
    walk = np.cumsum(random.normal(0, np.sqrt(np.diff((0, *plan.looks))), (200_000, 4)), axis=1)
    crossed = (walk / np.sqrt(plan.looks) > plan.boundaries).any(1)
    assert crossed.mean() == pytest.approx(0.05, abs=0.0015)


SOURCES = Regime("at the margin, in sources", (5,) * 100, 0.2, -0.05, disagreement=0.2)
ALONE = Regime("at the margin", (1,) * 500, INDEPENDENT, -0.05, disagreement=0.2)


@pytest.mark.parametrize("regime", [SOURCES, ALONE], ids=lambda regime: regime.name)
def test_stopping_early_does_not_raise_the_error_rate(regime: Regime) -> None:
    assert stopped(plan_looks(FLAT.looks), regime, 0.05)[0] <= 0.056
    assert stopped(FLAT, regime, 0.05)[0] > 0.09


def test_stopping_early_saves_items() -> None:
    equal = Regime("equally good", (1,) * 500, INDEPENDENT, 0.0, disagreement=0.1)
    said, items = stopped(plan_looks(FLAT.looks), equal, 0.05)
    assert said > 0.9
    assert items < 400


def test_a_verdict_at_a_look() -> None:
    plan = plan_looks((100, 1000))
    a, b = [1.0, 0.0] * 500, [1.0, 0.0] * 500
    early = sequential_verdict(plan, 0, a[:100], b[:100], margin=0.03)
    assert early.verdict is Verdict.UNDECIDED
    assert early.alpha == plan.nominal[0]
    assert sequential_verdict(plan, 1, a, b, margin=0.03).verdict is Verdict.NOT_WORSE
    with pytest.raises(InvalidParameter, match="items"):
        sequential_verdict(plan, 0, a, b, margin=0.03)
    with pytest.raises(InvalidParameter, match="look"):
        sequential_verdict(plan, 2, a, b, margin=0.03)


@pytest.mark.parametrize("looks", [(), (0, 10), (10, 10), (20, 10)])
def test_looks_that_do_not_rise_are_refused(looks: tuple[int, ...]) -> None:
    with pytest.raises(InvalidParameter, match="looks"):
        plan_looks(looks)
