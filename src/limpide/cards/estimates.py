"""Numbers of a card: a value, its interval and what it rests on, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from limpide.core.errors import CorruptRun
from limpide.core.evidence import ItemRecord
from limpide.evals.grading import is_passage
from limpide.evals.statistics import averaged, mean_interval


def rounded(number: float | None) -> float | None:
    """Six significant digits: what another version of a mathematical library computes does not differ in those."""
    return None if number is None or not math.isfinite(number) else float(f"{number:.6g}")


def estimate(scores: Sequence[float], clusters: Sequence[str] | None, *, bounded: bool) -> dict[str, Any]:
    """A mean with its 95 % interval. An end of the interval is None where too few sources say nothing of it."""
    found = mean_interval(scores, clusters, bounded=bounded)
    return {
        "value": rounded(found.mean),
        "low": rounded(found.low),
        "high": rounded(found.high),
        "confidence": found.confidence,
        "items": found.items,
        "clusters": found.clusters,
    }


def of_records(records: Sequence[ItemRecord]) -> dict[str, Any] | None:
    """Of a run or a part of it; repeats are averaged within items, and errors left out. None if nothing was answered.

    Passages of a text are measured in bits per byte, everything else from 0 to 1.
    """
    answered = [record for record in records if record.error is None]
    if not answered:
        return None
    clusters = {record.item: record.cluster for record in answered}
    by_item: dict[str, list[float]] = {item: [] for item in clusters}
    passages = all(map(is_passage, answered))
    for record in answered:
        by_item[record.item].append(_bits_per_byte(record) if passages else float(record.score or 0.0))
    found = estimate(list(averaged(by_item).values()), list(clusters.values()), bounded=not passages)
    return {**found, "unit": "bits per byte" if passages else "share"}


def _bits_per_byte(record: ItemRecord) -> float:
    size = record.detail["bytes"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise CorruptRun(f"the record of {record.item} has {size!r} bytes", expected="a whole number from 1")
    return float(record.score or 0.0) / math.log(2) / size
