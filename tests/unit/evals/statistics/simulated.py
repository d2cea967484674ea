"""Experiments with a known truth, many at once: shape (replications, items), and the source of each item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limpide.evals.statistics.distributions import Array

REPLICATIONS = 6_000


@dataclass(frozen=True, slots=True)
class Regime:
    """Sources of these sizes, whose items are alike to the degree `alike` (the intraclass correlation)."""

    name: str
    sizes: tuple[int, ...]
    alike: float
    truth: float
    """Mean score; for pairs the mean of B − A."""
    grades: int = 1
    """1: right or wrong; 4: quarters."""
    disagreement: float = 0.0

    @property
    def clusters(self) -> list[str]:
        return [f"source-{source:03}" for source, size in enumerate(self.sizes) for _ in range(size)]

    @property
    def _membership(self) -> Array:
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def scores(self, seed: int = 0) -> Array:
        """Each source has a rate of its own, drawn from a beta distribution around the truth."""
        random, spread = np.random.default_rng(seed), (1 - self.alike) / self.alike
        rates = random.beta(self.truth * spread, (1 - self.truth) * spread, (REPLICATIONS, len(self.sizes)))
        return random.binomial(self.grades, rates[:, self._membership]) / self.grades

    def differences(self, seed: int = 0) -> Array:
        """−1, 0 or 1 for each pair; each source has its own rates of gains and losses, Dirichlet around the truth."""
        random, spread = np.random.default_rng(seed), (1 - self.alike) / self.alike
        gain, loss = (self.disagreement + self.truth) / 2, (self.disagreement - self.truth) / 2
        shares = np.array([gain, loss, 1 - self.disagreement]) * spread
        drawn = random.gamma(shares, size=(REPLICATIONS, len(self.sizes), 3))
        rates = (drawn / drawn.sum(-1, keepdims=True))[:, self._membership]
        chance = random.random(rates.shape[:-1])
        return (chance < rates[..., 0]) * 1.0 - ((chance >= rates[..., 0]) & (chance < rates[..., 0] + rates[..., 1]))


def uneven(count: int, largest: int, seed: int = 1) -> tuple[int, ...]:
    return tuple(int(size) for size in np.random.default_rng(seed).integers(1, largest + 1, count))


INDEPENDENT = 1e-6
"""As good as no likeness; the beta distribution needs some."""

Method = Callable[[Array, list[str]], tuple[Array, Array]]
"""Scores or differences and sources → both ends of the interval of each replication."""


def coverage(method: Method, regime: Regime, values: Array) -> float:
    """Share of the replications whose interval holds the truth."""
    low, high = method(values, regime.clusters)
    return float(np.mean((low <= regime.truth) & (regime.truth <= high)))
