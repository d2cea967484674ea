"""Accuracy against the number of tokens that may be thought: a curve with its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.distributions import checked_level
from limpide.evals.statistics.mean import MeanEstimate, mean_interval


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """One budget: what was scored and what was really spent."""

    budget: int
    score: MeanEstimate
    tokens: MeanEstimate

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"budget": self.budget, "score": self.score.as_dict(), "tokens": self.tokens.as_dict()}


@dataclass(frozen=True, slots=True)
class BudgetCurve:
    """Points in the order of their budgets."""

    points: tuple[BudgetPoint, ...]
    confidence: float
    simultaneous: bool
    """Whether the intervals of the scores hold for all points at once with this confidence, or for each alone."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "points": [point.as_dict() for point in self.points],
            "confidence": self.confidence,
            "intervals": "simultaneous" if self.simultaneous else "pointwise",
        }


def budget_curve(
    scores: Mapping[int, Sequence[float]],
    tokens: Mapping[int, Sequence[float]],
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    simultaneous: bool = True,
) -> BudgetCurve:
    """Budget → scores and tokens per item, the same items in the same order at each budget, as a curve with a band.

    A curve is read as a whole ("it rises until 512"), so that its band holds for all points at once by default:
    Bonferroni, which asks nothing of how the budgets hang together. Raises InvalidParameter if not all budgets have
    the same items.
    """
    checked_level("confidence", confidence)
    if not scores or scores.keys() != tokens.keys():
        raise InvalidParameter("budgets", sorted(tokens), f"those of the scores: {sorted(scores)}, at least one")
    if len({len(values) for values in (*scores.values(), *tokens.values())}) != 1:
        raise InvalidParameter("scores", "of different length", "the same items at each budget")
    level = 1 - (1 - confidence) / len(scores) if simultaneous else confidence
    points = tuple(
        BudgetPoint(
            budget,
            mean_interval(scores[budget], clusters, confidence=level),
            mean_interval(tokens[budget], clusters, confidence=confidence, bounded=False),
        )
        for budget in sorted(scores)
    )
    return BudgetCurve(points, confidence, simultaneous)
