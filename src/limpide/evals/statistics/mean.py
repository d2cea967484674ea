"""A mean with its standard error and an interval that may be believed, also near 0 and 1 and with few sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.clusters import ClusterSums, cluster_sums, degrees_of_freedom, mean_variance
from limpide.evals.statistics.distributions import Array, checked_level, t_quantile


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over items, and how far it may be from that over all items that could have been asked."""

    mean: float
    standard_error: float | None
    """None if there is a single source, which says nothing of others, or if all items score the same at 0 or 1."""
    low: float
    high: float
    confidence: float
    items: int
    clusters: int
    degrees_of_freedom: float
    design_effect: float | None
    """Variance over that of as many independent items: 3 means that 300 items tell as much as 100. None: unknown."""
    bounded: bool
    """Whether the scores lie in [0, 1] by their nature."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: an end that is not known (infinite) is null."""
        plain = asdict(self)
        for name in ("low", "high"):
            plain[name] = plain[name] if math.isfinite(plain[name]) else None
        return plain


def mean_interval(
    scores: Sequence[float], clusters: Sequence[str] | None = None, *, confidence: float = 0.95, bounded: bool = True
) -> MeanEstimate:
    """Mean of one score per item (repeats averaged before: see repeats.py), clustered where items share a source.

    The standard error is cluster-robust: CR2, with Student's t of G − 1 degrees of freedom for equal clusters and of
    fewer for unequal ones (see clusters.py). A normal quantile is right for many clusters only: with 10 of them, its
    "95 %" interval covers 92 %.

    `bounded` scores, in [0, 1], get a Wilson interval for the effective number of items (Korn and Graubard 1998; Dean
    and Pagano 2015), which does not leave [0, 1] and stays honest near its ends; others (nats, tokens) mean ± t·SE. If
    all items score 0, or all 1, nothing is known of how alike the items of a cluster are; then each cluster counts as
    one item, by Clopper and Pearson's exact interval: n independent items without a failure put the failure rate below
    3.7/n (one-sided 3/n, the "rule of three").

    Raises InvalidParameter for no scores, scores outside [0, 1] if `bounded`, or a confidence outside (0, 1).
    """
    checked_level("confidence", confidence)
    values = np.asarray(scores, dtype=np.float64)
    if bounded and values.size and not ((values >= 0) & (values <= 1)).all():
        raise InvalidParameter("scores", f"from {values.min():g} to {values.max():g}", "scores from 0 to 1")
    sums = cluster_sums(values, clusters)
    variance, df = float(mean_variance(sums)), float(degrees_of_freedom(sums))
    low, high = bounded_interval(sums, confidence) if bounded else unbounded_interval(sums, confidence)
    unknown = not math.isfinite(variance) or (bounded and variance == 0)
    independent = float(sums.item_variance) / sums.items
    return MeanEstimate(
        mean=float(sums.mean),
        standard_error=None if unknown else math.sqrt(variance),
        low=float(low),
        high=float(high),
        confidence=confidence,
        items=sums.items,
        clusters=sums.clusters,
        degrees_of_freedom=df,
        design_effect=None if unknown or independent == 0 else variance / independent,
        bounded=bounded,
    )


def unbounded_interval(sums: ClusterSums, confidence: float) -> tuple[Array, Array]:
    """Both ends of mean ± t·SE, shape (…); infinite for a single cluster."""
    if sums.clusters < 2:
        nothing = np.full(sums.mean.shape, math.inf)
        return -nothing, nothing
    half = t_quantile((1 + confidence) / 2, degrees_of_freedom(sums)) * np.sqrt(mean_variance(sums))
    return sums.mean - half, sums.mean + half


def bounded_interval(sums: ClusterSums, confidence: float) -> tuple[Array, Array]:
    """Both ends of the Wilson interval for the effective number of items, shape (…); [0, 1] for a single cluster."""
    mean = np.clip(sums.mean, 0, 1)
    if sums.clusters < 2:
        return np.zeros(mean.shape), np.ones(mean.shape)
    binomial = mean * (1 - mean)
    edge = binomial < 1e-12  # rounding of a mean of ones
    variance = floored(mean_variance(sums), sums)
    effective = np.divide(binomial, variance, out=np.ones_like(binomial), where=~edge)
    squared = t_quantile((1 + confidence) / 2, degrees_of_freedom(sums)) ** 2
    centre = (mean + squared / (2 * effective)) / (1 + squared / effective)
    half = np.sqrt(squared * (binomial / effective + squared / (4 * effective**2))) / (1 + squared / effective)
    none_failed = ((1 - confidence) / 2) ** (1 / sums.clusters)
    low = np.where(edge, np.where(mean > 0.5, none_failed, 0.0), centre - half)
    high = np.where(edge, np.where(mean > 0.5, 1.0, 1 - none_failed), centre + half)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


LEAST_DESIGN_EFFECT = 0.25


def floored(variance: Array, sums: ClusterSums) -> Array:
    """The variance, but at least a quarter of what independent items would have.

    Clusters that all happen to have the same share of right answers would claim that there is no uncertainty at all.
    """
    return np.asarray(np.maximum(variance, LEAST_DESIGN_EFFECT * sums.item_variance / sums.items))
