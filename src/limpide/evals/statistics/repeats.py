"""Repeats of an item are averaged before anything else: one question asked five times does not make five questions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from limpide.core.errors import InvalidParameter


def averaged(repeats: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Item id → mean of its repeats, in the order given. Raises InvalidParameter for an item without any.

    What repeats share (the item) is not made surer by more of them, so that only items, or rather their sources, count.
    """
    for item, scores in repeats.items():
        if not scores:
            raise InvalidParameter("repeats", item, "at least one score for each item")
    return {item: math.fsum(scores) / len(scores) for item, scores in repeats.items()}
