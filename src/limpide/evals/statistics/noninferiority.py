"""Is B really not worse than A? A verdict, for a margin that was fixed beforehand.

A difference that is "not significant" shows nothing: with few items none ever is. Here the burden of proof is turned
round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.distributions import checked_level
from limpide.evals.statistics.paired import PairedDifference, paired_difference
from limpide.evals.statistics.power import items_needed

ALPHA = 0.05


class Verdict(StrEnum):
    """What a comparison with a margin may end with."""

    NOT_WORSE = "NOT WORSE"
    """Even at the lower end of the interval B loses less than the margin."""
    WORSE = "WORSE"
    """Even at the upper end B loses more than the margin."""
    UNDECIDED = "UNDECIDED"
    """Either may be true; more items can tell."""


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """A verdict, what it rests on, and how many items more would probably settle it."""

    verdict: Verdict
    margin: float
    alpha: float
    """Probability of a wrong NOT WORSE if B is worse by exactly the margin; likewise of a wrong WORSE."""
    interval: PairedDifference
    """Its confidence is 1 − 2·alpha: each end is a one-sided bound at `alpha`."""
    further_items: int | None
    """Items to add until a verdict has a chance of 80 %; 0 if there is one, None if no number can be told."""
    assuming: str | None
    """Under what assumption: "equally good", or "as far apart as observed"."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "verdict": self.verdict.value,
            "margin": self.margin,
            "alpha": self.alpha,
            "interval": self.interval.as_dict(),
            "further_items": self.further_items,
            "assuming": self.assuming,
        }


def non_inferiority(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    margin: float,
    alpha: float = ALPHA,
    bounded: bool = True,
) -> NonInferiority:
    """Judge whether B is not worse than A by more than `margin`, in the unit of the scores; more is better.

    The margin must be chosen before the results are seen, or the error rate is not `alpha`. Raises InvalidParameter
    for a margin that isn't positive (or, for bounded scores, not below 1), and as `paired_difference` does.
    """
    check_margin(margin, bounded=bounded)
    checked_level("alpha", 2 * alpha)
    interval = paired_difference(a, b, clusters, confidence=1 - 2 * alpha, bounded=bounded)
    verdict = verdict_of(interval.low, interval.high, margin)
    further, assuming = _further(interval, margin, alpha) if verdict is Verdict.UNDECIDED else (0, None)
    return NonInferiority(verdict, margin, alpha, interval, further, assuming)


def check_margin(margin: float, *, bounded: bool = True) -> None:
    """Raises InvalidParameter for a margin that can't be one."""
    if not (0 < margin < (1 if bounded else float("inf"))):
        raise InvalidParameter("margin", margin, "above 0 and below 1: 0.03 is three points of a hundred")


def verdict_of(low: float, high: float, margin: float) -> Verdict:
    """The verdict for an interval of B − A."""
    if low > -margin:
        return Verdict.NOT_WORSE
    return Verdict.WORSE if high < -margin else Verdict.UNDECIDED


def _further(interval: PairedDifference, margin: float, alpha: float) -> tuple[int | None, str | None]:
    """Items to add: if the models are equally good; or if that many are there already, if they differ as it seems."""
    design = interval.design_effect
    if interval.clusters < 2:
        return None, None
    if design is None:  # not one disagreement: as if the next item brought one, and nothing known of the clusters
        variance, design = 1 / interval.items, interval.items / interval.clusters
    else:
        variance = interval.variance_per_item
    design = max(1.0, design)
    for distance, assuming in (
        (margin, "equally good"),
        (abs(interval.difference + margin), "as far apart as observed"),
    ):
        if distance > 1e-9:
            total = items_needed(variance, distance, design_effect=design, alpha=alpha)
            if total > interval.items:
                return total - interval.items, assuming
    return None, None
