"""McNemar's exact test: do two models differ on items that are right or wrong?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limpide.core.errors import InvalidParameter
from limpide.evals.statistics.distributions import scipy_part
from limpide.evals.statistics.paired import differences


def mcnemar_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p-value from the items on which exactly one of the two is right; 1 if there is none.

    For scores of 0 and 1 and independent items: each such item is then a fair coin (McNemar 1947,
    exact form). Where items share a source they are not independent: use `sign_flip_test`. Raises InvalidParameter for
    other scores.
    """
    if not all(score in (0, 1) for scores in (a, b) for score in scores):
        raise InvalidParameter("scores", "graded", "0 or 1 for each item")
    difference = differences(a, b)
    gains, losses = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    if gains + losses == 0:
        return 1.0
    return float(scipy_part("stats").binomtest(gains, gains + losses, 0.5).pvalue)
