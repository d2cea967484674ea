"""Looking at the results before all are there, and stopping early, without being wrong more often.

Who looks after every batch and stops when p < 5 % finds a difference that isn't there in far more than 5 % of cases. A
group-sequential plan (Lan and DeMets 1983) divides the 5 % among the looks. We spend as O'Brien and Fleming (1979) do,
hardly anything early, for two reasons: an evaluation has a largest number of items anyway, and the last look then
costs almost nothing against a test without looks. A confidence sequence, valid at any time and without an end, needs
an interval about half as wide again, which is to say twice the items, for a freedom that a finite set of items doesn't
use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.distributions import Array, checked_level, normal_cdf, normal_quantile
from limpide.evals.statistics.noninferiority import ALPHA, NonInferiority, Verdict, non_inferiority

_STEP = 0.02
_REACH = 8.0


@dataclass(frozen=True, slots=True)
class SequentialPlan:
    """When to look, and what may be spent at each look; fixed before the first item is seen."""

    looks: tuple[int, ...]
    """Numbers of items after which to look, rising; the last is the largest that will be asked."""
    alpha: float
    nominal: tuple[float, ...]
    """One-sided error rate to test with at each look."""

    @property
    def boundaries(self) -> tuple[float, ...]:
        """The z values of `nominal`."""
        return tuple(-normal_quantile(level) for level in self.nominal)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"looks": list(self.looks), "alpha": self.alpha, "nominal": list(self.nominal)}


def plan_looks(looks: Sequence[int], *, alpha: float = ALPHA) -> SequentialPlan:
    """Spend `alpha`, one-sided, over these looks. Raises InvalidParameter if they don't rise from 1.

    The boundary of a look solves P(no boundary crossed before, this one crossed) = what is spent there, with the
    statistic as a Brownian motion at times n/n_max; the density is carried on from look to look (Armitage, McPherson
    and Rowe 1969).
    """
    checked_level("alpha", 2 * alpha)
    if not looks or looks[0] < 1 or any(later <= earlier for earlier, later in pairwise(looks)):
        raise InvalidParameter("looks", list(looks), "rising numbers of items, from 1")
    times = [look / looks[-1] for look in looks]
    spent = [_spent(time, alpha) for time in times]
    grid = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    nominal = [max(spent[0], 1e-15)]
    for (previous, time), increment in zip(pairwise(times), np.diff(spent), strict=True):
        below = np.clip((-normal_quantile(nominal[-1]) - grid) / _STEP + 0.5, 0, 1)  # a cell may be cut by the boundary
        density = _carried(grid, density * below, previous, time)
        tail = np.cumsum(density[::-1])[::-1] * _STEP
        boundary = _crossing(grid, tail, max(float(increment), 1e-15))
        nominal.append(max(float(normal_cdf(np.asarray(-boundary))), 1e-15))
    return SequentialPlan(tuple(looks), alpha, tuple(nominal))


def sequential_verdict(
    plan: SequentialPlan,
    look: int,
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    margin: float,
) -> NonInferiority:
    """The verdict at look number `look`, from 0, with the scores seen so far; UNDECIDED means to go on to the next.

    The probability of a wrong NOT WORSE over all looks together is `plan.alpha`, and likewise of a wrong WORSE. Look
    where a source is complete. Raises InvalidParameter if the number of items is not that of the look.
    """
    if not 0 <= look < len(plan.looks):
        raise InvalidParameter("look", look, f"from 0 to {len(plan.looks) - 1}")
    if len(a) != plan.looks[look]:
        raise InvalidParameter("items", len(a), f"{plan.looks[look]}, as planned for look {look + 1}")
    return non_inferiority(a, b, clusters, margin=margin, alpha=plan.nominal[look])


def decided(result: NonInferiority) -> bool:
    """Whether one may stop."""
    return result.verdict is not Verdict.UNDECIDED


def _spent(time: float, alpha: float) -> float:
    """Of `alpha`, the part that may be spent until `time` in (0, 1]: 2·(1 − Φ(z₁₋α/₂ / √time))."""
    return 2 * float(normal_cdf(np.asarray(normal_quantile(alpha / 2) / math.sqrt(time))))


def _carried(grid: Array, density: Array, previous: float, time: float) -> Array:
    """Density of z at `time`, of what had `density` at `previous`: z·√time is a Brownian motion."""
    spread = math.sqrt(time - previous)
    gap = (grid[:, None] * math.sqrt(time) - grid[None, :] * math.sqrt(previous)) / spread
    kernel = np.exp(-(gap**2) / 2) * (math.sqrt(time) / spread / math.sqrt(2 * math.pi))
    return np.asarray(kernel @ density * _STEP)


def _crossing(grid: Array, tail: Array, level: float) -> float:
    """Where the falling `tail`, which holds whole cells, passes `level`, between the edges of two."""
    index = int(np.searchsorted(-tail, -level))
    if index == 0 or index >= len(grid):
        return float(grid[min(index, len(grid) - 1)])
    upper, lower = math.log(tail[index - 1]), math.log(max(tail[index], 1e-300))
    share = (upper - math.log(level)) / (upper - lower) if upper > lower else 0.0
    return float(grid[index - 1] + (share - 0.5) * _STEP)
