"""A permutation test that needs no formula: were two models alike, each difference might have the other sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limpide.evals.statistics.clusters import cluster_sums
from limpide.evals.statistics.distributions import Array
from limpide.evals.statistics.mcnemar import mcnemar_p
from limpide.evals.statistics.paired import differences

MAX_EXACT = 16
"""Sources that differ, up to which all 2^G signs are gone through."""
DRAWS = 20_000
_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A two-sided p-value, and how it was found."""

    p: float
    method: str
    """"exact McNemar", "exact sign flips", or "sign flips" of so many seeded draws."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


def paired_test(a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None, *, seed: int = 0) -> PairedTest:
    """Test whether two models differ: McNemar where items are independent and right or wrong, else sign flips."""
    independent = clusters is None or len(set(clusters)) == len(clusters)
    if independent and all(score in (0, 1) for scores in (a, b) for score in scores):
        return PairedTest(mcnemar_p(a, b), "exact McNemar")
    return sign_flip_test(a, b, clusters, seed=seed)


def sign_flip_test(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None = None, *, seed: int = 0
) -> PairedTest:
    """Share of all ways to give each source's summed difference a sign that yield at least the difference observed.

    Exact for up to 16 sources that differ. Beyond, 20,000 draws of a generator seeded with `seed`, the observed one
    counted among them, so that p is never below 1/20,001 and never too small (Phipson and Smyth 2010). For right or
    wrong and independent items it is McNemar's exact test.
    """
    sums = cluster_sums(differences(a, b), clusters).sums
    moved = sums[np.abs(sums) > 1e-12]
    if not len(moved):
        return PairedTest(1.0, "exact sign flips")
    observed = abs(moved.sum()) - 1e-9 * np.abs(moved).sum()  # what is equal but for rounding counts as equal
    if len(moved) <= MAX_EXACT:
        return PairedTest(float(np.mean(np.abs(_all_sums(moved)) >= observed)), "exact sign flips")
    random = np.random.default_rng(seed)
    reached = 0
    for _ in range(DRAWS // _BLOCK):
        signs = random.integers(0, 2, (_BLOCK, len(moved))) * 2 - 1
        reached += int(np.sum(np.abs(signs @ moved) >= observed))
    return PairedTest((1 + reached) / (1 + DRAWS), f"{DRAWS:,} sign flips")


def _all_sums(values: Array) -> Array:
    """The sum for each of the 2^G ways to choose signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
