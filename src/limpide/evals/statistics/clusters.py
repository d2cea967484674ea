"""Sums per cluster, and how far the mean over all items may be off when the items of a cluster resemble each other.

Items that share a source (a document, a passage, a generator) are right or wrong together more often than chance has
it. Ten questions on one text are then not ten independent questions, and an interval that takes them for such is too
narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.distributions import Array


@dataclass(frozen=True, slots=True, eq=False)
class ClusterSums:
    """What the intervals need of the items: per cluster their number, their sum and the sum of their squares.

    `sums` and `squares` have the shape (…, G) and `sizes` has (G,): the leading axes are repetitions of a whole
    experiment, so that the simulations in the tests go through the same lines as a single result.
    """

    sizes: Array
    sums: Array
    squares: Array

    @property
    def items(self) -> int:
        """Number of items, n."""
        return int(self.sizes.sum())

    @property
    def clusters(self) -> int:
        """Number of clusters, G."""
        return len(self.sizes)

    @property
    def mean(self) -> Array:
        """Mean over items: each item counts the same, whatever the size of its cluster."""
        return np.asarray(self.sums.sum(-1) / self.items)

    @property
    def item_variance(self) -> Array:
        """Variance between items, with n − 1 in the denominator; 0 for a single item."""
        return np.asarray(np.maximum(0, self.squares.sum(-1) - self.items * self.mean**2) / max(1, self.items - 1))


def cluster_sums(scores: Sequence[float] | Array, clusters: Sequence[str] | None = None) -> ClusterSums:
    """Gather scores of shape (n,), or (…, n), by cluster; without `clusters`, each item is its own source.

    Raises InvalidParameter if there is no item, a score isn't finite or the clusters are not as many as the scores.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise InvalidParameter("scores", "empty", "the scores of at least one item")
    if not np.isfinite(values).all():
        raise InvalidParameter("scores", "not finite", "finite numbers")
    if clusters is None:
        return ClusterSums(np.ones(values.shape[-1]), values, values**2)
    if len(clusters) != values.shape[-1]:
        raise InvalidParameter("clusters", f"{len(clusters)} long", f"one for each of {values.shape[-1]} scores")
    _, membership = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.argsort(membership, kind="stable")
    starts = np.flatnonzero(np.diff(membership[order], prepend=-1))
    sizes = np.diff(starts, append=len(order)).astype(np.float64)
    ordered = values[..., order]
    return ClusterSums(sizes, np.add.reduceat(ordered, starts, axis=-1), np.add.reduceat(ordered**2, starts, axis=-1))


def mean_variance(sums: ClusterSums) -> Array:
    """Cluster-robust variance of the mean, shape (…): CR2 of Bell and McCaffrey (2002). Infinite for one cluster.

    The deviations of a cluster are summed before they are squared, and each square is divided by 1 − n_g/n, which
    makes the estimate unbiased where the clusters don't matter. With one item per cluster it is s²/n, the textbook's.
    """
    if sums.clusters < 2:
        return np.full(sums.sums.shape[:-1], math.inf)
    deviations = sums.sums - sums.sizes * sums.mean[..., None]
    return np.asarray((deviations**2 / (1 - sums.sizes / sums.items)).sum(-1) / sums.items**2)


def degrees_of_freedom(sums: ClusterSums) -> Array:
    """Degrees of freedom of the t interval around the mean, shape (…); 0 for one cluster.

    G − 1 for clusters of equal size that all vary alike, as Cameron and Miller (2015) advise against the normal
    quantile. Fewer if few clusters carry the variance, because they are large, or because hardly any other holds a
    failure.
    """
    return np.minimum(_degrees_by_size(sums), _degrees_by_tails(sums))


def _degrees_by_tails(sums: ClusterSums) -> Array:
    """2·(mean variance)² / variance of that, from the clusters' fourth moment: 2·K if only K of many deviate.

    With scores near 0 or 1 and alike within clusters, an interval without this covers 90 % instead of 95 (the
    simulation is in the tests). Where each item is its own source there is no such doubt: the mean alone gives the
    variance.
    """
    if sums.clusters in (1, sums.items):
        return np.full(sums.sums.shape[:-1], math.inf)
    squared = (sums.sums - sums.sizes * sums.mean[..., None]) ** 2 / (1 - sums.sizes / sums.items)
    second, fourth = squared.sum(-1), (squared**2).sum(-1)
    spread = fourth - second**2 / sums.clusters
    known = spread > 1e-12 * second**2
    return np.asarray(np.divide(2 * second**2, spread, out=np.full_like(second, math.inf), where=known))


def _degrees_by_size(sums: ClusterSums) -> Array:
    """G − 1 for clusters of equal size.

    A few large clusters among small ones carry most of the variance, and the estimate of it is then worth less:
    Satterthwaite's match of two moments (Bell and McCaffrey 2002; Imbens and Kolesár 2016) under a working model in
    which the items of a cluster correlate as `intraclass_correlation` finds them to.
    """
    if sums.clusters < 2:
        return np.zeros(sums.sums.shape[:-1])
    correlation = intraclass_correlation(sums)[..., None]
    # S_g = T_g − (n_g/n)·T has Cov(S_g, S_h) = [g=h]·v_g − (n_h·v_g + n_g·v_h)/n + n_g·n_h·V/n², v_g being the
    # variance of the cluster's sum and V that of all. It is a diagonal plus a matrix of rank 2, whose traces need no G
    # × G matrix.
    share = sums.sizes / sums.items
    scale = 1 / np.sqrt(1 - share)
    variance = sums.sizes * ((1 - correlation) + correlation * sums.sizes)
    total = variance.sum(-1)
    diagonal, u, w = scale**2 * variance, scale * variance, scale * share
    trace = (diagonal - 2 * u * w + total[..., None] * w**2).sum(-1)
    uu, ww, uw = (u * u).sum(-1), (w * w).sum(-1), (u * w).sum(-1)
    low_rank = 2 * uu * ww + 2 * uw**2 + total**2 * ww**2 - 4 * total * uw * ww
    crossed = (diagonal * (total[..., None] * w**2 - 2 * u * w)).sum(-1)
    squared = (diagonal**2).sum(-1) + 2 * crossed + low_rank
    return np.asarray(np.minimum(trace**2 / squared, sums.clusters - 1))


def intraclass_correlation(sums: ClusterSums) -> Array:
    """How much the items of a cluster resemble each other, 0 to 1, from the analysis of variance; shape (…)."""
    items, clusters = sums.items, sums.clusters
    if clusters < 2 or items == clusters:
        return np.zeros(sums.sums.shape[:-1])
    within_squares = sums.squares.sum(-1) - (sums.sums**2 / sums.sizes).sum(-1)
    between_squares = (sums.sums**2 / sums.sizes).sum(-1) - items * sums.mean**2
    within = np.maximum(0, within_squares) / (items - clusters)
    between = np.maximum(0, between_squares) / (clusters - 1)
    typical_size = (items - (sums.sizes**2).sum() / items) / (clusters - 1)
    total = between + (typical_size - 1) * within
    return np.asarray(np.clip(np.divide(between - within, total, out=np.zeros_like(total), where=total > 0), 0, 1))
