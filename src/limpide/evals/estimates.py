"""Scores of records with their intervals: repeats averaged within items, items clustered by source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from limpide.core.evidence import ItemRecord
from limpide.evals.statistics import MeanEstimate, averaged, mean_interval


def score_estimate(records: Sequence[ItemRecord]) -> MeanEstimate:
    """Mean score, from 0 to 1, of records without errors, of which there is at least one."""
    scores, clusters = _by_item(records)
    return mean_interval(list(scores.values()), [clusters[item] for item in scores])


def are_passages(records: Sequence[ItemRecord]) -> bool:
    """Whether the scores are nats of passages."""
    return bool(records) and all("bytes" in record.detail for record in records)


def perplexity_estimate(records: Sequence[ItemRecord]) -> MeanEstimate:
    """exp(nats / tokens) of all passages together, with the interval of that ratio.

    The ratio's error is that of the mean of nats − ratio · tokens, over the mean number of tokens (the linearised
    ratio estimator of survey sampling; Cochran 1977). Passages of one text resemble each other, so the interval is
    about texts of this very kind. The standard error is that of the perplexity, by the delta method.
    """
    nats, clusters = _by_item(records)
    tokens = {record.item: int(record.detail["tokens"]) for record in records}
    mean_tokens = math.fsum(tokens.values()) / len(tokens)
    ratio = math.fsum(nats.values()) / math.fsum(tokens.values())
    linear = [ratio + (nats[item] - ratio * tokens[item]) / mean_tokens for item in nats]
    found = mean_interval(linear, [clusters[item] for item in nats], bounded=False)
    error = found.standard_error
    return replace(
        found,
        mean=math.exp(ratio),
        standard_error=None if error is None else error * math.exp(ratio),
        low=math.exp(found.low),
        high=_exp(found.high),
    )


def _exp(value: float) -> float:
    """Infinite where it is too large."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _by_item(records: Sequence[ItemRecord]) -> tuple[dict[str, float], dict[str, str]]:
    repeats: dict[str, list[float]] = {}
    for record in records:
        repeats.setdefault(record.item, []).append(record.score or 0.0)
    return averaged(repeats), {record.item: record.cluster for record in records}
