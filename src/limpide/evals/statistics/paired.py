"""The difference between two models on the same items.

What makes an item hard makes it hard for both; comparing item by item takes that out, and what is left varies far less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.clusters import ClusterSums, cluster_sums, degrees_of_freedom, mean_variance
from limpide.evals.statistics.distributions import Array, checked_level, t_quantile
from limpide.evals.statistics.mean import floored, unbounded_interval


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of B − A over items, with its interval."""

    mean_a: float
    mean_b: float
    difference: float
    standard_error: float | None
    """None if there is a single source, or if the two agree on every item."""
    low: float
    high: float
    confidence: float
    items: int
    clusters: int
    degrees_of_freedom: float
    design_effect: float | None
    better: int
    """Items on which B scores more than A."""
    worse: int
    """Items on which B scores less."""
    variance_per_item: float
    """Mean square of the differences: for right or wrong the share of items on which the two disagree."""

    @property
    def disagreement(self) -> float:
        """Share of the items on which the two don't score the same."""
        return (self.better + self.worse) / self.items

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: an end that is not known (infinite) is null."""
        plain = {**asdict(self), "disagreement": self.disagreement}
        for name in ("low", "high"):
            plain[name] = plain[name] if math.isfinite(plain[name]) else None
        return plain


def differences(a: Sequence[float], b: Sequence[float]) -> Array:
    """B − A per item, shape (n,). Raises InvalidParameter if they are not as many."""
    if len(a) != len(b):
        raise InvalidParameter("scores", f"{len(a)} and {len(b)}", "the same items for both")
    return np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    bounded: bool = True,
) -> PairedDifference:
    """Interval of the mean of B − A over items; one score per item and model, in the same order.

    For `bounded` scores, in [0, 1], Tango's score interval (1998), which is right for few disagreements where mean ±
    t·SE is not. Items that share a source, and graded scores, enter by the effective number of items: the one with
    which the binomial variance would be the cluster-robust one. If the two never disagree, each cluster counts as one
    item. Unbounded scores get mean ± t·SE. Raises InvalidParameter as `mean_interval` does.
    """
    checked_level("confidence", confidence)
    difference = differences(a, b)
    for scores in (a, b):
        if bounded and not all(0 <= score <= 1 for score in scores):
            raise InvalidParameter("scores", f"from {min(scores):g} to {max(scores):g}", "scores from 0 to 1")
    sums = cluster_sums(difference, clusters)
    if bounded:
        low, high = tango_interval(sums, cluster_sums(np.maximum(difference, 0), clusters), confidence)
    else:
        low, high = unbounded_interval(sums, confidence)
    variance = float(mean_variance(sums))
    unknown = not math.isfinite(variance) or variance == 0
    independent = float(sums.item_variance) / sums.items
    return PairedDifference(
        mean_a=math.fsum(a) / len(a),
        mean_b=math.fsum(b) / len(b),
        difference=float(sums.mean),
        standard_error=None if unknown else math.sqrt(variance),
        low=float(low),
        high=float(high),
        confidence=confidence,
        items=sums.items,
        clusters=sums.clusters,
        degrees_of_freedom=float(degrees_of_freedom(sums)),
        design_effect=None if unknown or independent == 0 else variance / independent,
        better=int((difference > 0).sum()),
        worse=int((difference < 0).sum()),
        variance_per_item=float((difference**2).mean()),
    )


def tango_interval(sums: ClusterSums, gains: ClusterSums, confidence: float) -> tuple[Array, Array]:
    """Both ends of the interval for the mean of differences in [−1, 1], shape (…); `gains` are those above zero.

    Infinitely wide, that is [−1, 1], for a single cluster.
    """
    mean, gain = sums.mean, gains.mean
    if sums.clusters < 2:
        return np.full(mean.shape, -1.0), np.full(mean.shape, 1.0)
    loss = gain - mean
    binomial = gain + loss - mean**2
    silent = gain + loss < 1e-12
    variance = floored(mean_variance(sums), sums)
    known = ~silent & (variance > 0)
    effective = np.divide(binomial, variance, out=np.full_like(mean, float(sums.clusters)), where=known)
    quantile = t_quantile((1 + confidence) / 2, np.where(silent, np.inf, degrees_of_freedom(sums)))
    low = _solved(gain, loss, effective, quantile, (np.full_like(mean, -1.0), mean))
    high = _solved(gain, loss, effective, -quantile, (mean, np.full_like(mean, 1.0)))
    return low, high


def _solved(gain: Array, loss: Array, items: Array, target: Array, ends: tuple[Array, Array]) -> Array:
    """Where between both `ends` the score statistic, which falls as the difference rises, hits `target`."""
    left, right = ends
    for _ in range(BISECTIONS):
        middle = (left + right) / 2
        above = _score_statistic(gain, loss, items, middle) > target
        left, right = np.where(above, middle, left), np.where(above, right, middle)
    return np.asarray((left + right) / 2)


BISECTIONS = 45


def _score_statistic(gain: Array, loss: Array, items: Array, supposed: Array) -> Array:
    """Tango's z for the hypothesis that the difference is `supposed`: its variance is the likeliest under it.

    `gain` and `loss` are shares of items. The likeliest share of losses solves 2q² + bq + c = 0.
    """
    b = -(gain + loss) + (2 - (gain - loss)) * supposed
    c = -loss * supposed * (1 - supposed)
    losses = (np.sqrt(np.maximum(0, b**2 - 8 * c)) - b) / 4
    variance = np.maximum(2 * losses + supposed * (1 - supposed), 1e-300)
    return np.asarray((gain - loss - supposed) * np.sqrt(items / variance))
