"""How many items it takes to tell."""

from __future__ import annotations

import math

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.distributions import checked_level, normal_quantile

POWER = 0.8


def items_needed(
    variance_per_item: float, distance: float, *, design_effect: float = 1.0, alpha: float = 0.05, power: float = POWER
) -> int:
    """Items after which a one-sided test at `alpha` tells a difference from a margin `distance` away, with this power.

    n = (z₁₋α + z_power)² · variance · design effect / distance²: 6.18 · d/δ² by default. `variance_per_item` is the
    mean square of the paired differences; for right or wrong, the share d of items on which the two disagree. If the
    two are equally good, `distance` is the margin δ. Raises InvalidParameter for a negative variance or a distance
    that isn't positive.
    """
    if not variance_per_item >= 0:
        raise InvalidParameter("variance_per_item", variance_per_item, "a number from 0")
    if not distance > 0:
        raise InvalidParameter("distance", distance, "a number above 0")
    checked_level("alpha", alpha)
    checked_level("power", power)
    quantiles = normal_quantile(1 - alpha) + normal_quantile(power)
    return math.ceil(round(quantiles**2 * variance_per_item * design_effect / distance**2, 6))
