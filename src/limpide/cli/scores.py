"""The scores of a run as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from limpide.cli.tables import print_table
from limpide.core.evidence import ItemRecord
from limpide.evals.run import Run


def standard_error(records: Sequence[ItemRecord]) -> float | None:
    """Of the mean score, clusters taken as what was drawn independently; None for fewer than two of them.

    The place where the intervals of evals/statistics come in.
    """
    clusters: dict[str, list[float]] = {}
    for record in records:
        clusters.setdefault(record.cluster, []).append(record.score or 0.0)
    if len(clusters) < 2:
        return None
    count = len(records)
    mean = sum(record.score or 0.0 for record in records) / count
    residuals = [sum(score - mean for score in scores) for scores in clusters.values()]
    return math.sqrt(sum(r * r for r in residuals) * len(clusters) / (len(clusters) - 1)) / count


def scores_of(run: Run) -> dict[str, Any]:
    """Plain data: of the whole run and of each slice."""
    answered = [record for record in run.records if record.error is None]
    slices = sorted({record.slice for record in answered})
    return {
        "complete": run.complete,
        "errors": len(run.records) - len(answered),
        "all": _score(answered),
        "slices": {name: _score([r for r in answered if r.slice == name]) for name in slices},
        "thinking_tokens": sum(record.thinking_tokens for record in answered),
        "answer_tokens": sum(record.answer_tokens for record in answered),
    }


def print_scores(run: Run) -> None:
    """The run's scores for people."""
    manifest, scores = run.manifest, scores_of(run)
    thinking = "" if manifest.thinking == "off" else f", thinking {manifest.thinking}"
    print(f"{manifest.task} {manifest.task_version} · {manifest.model}{thinking} · seed {manifest.seed}")
    rows = [("SLICE", "SCORE", "± SE", "ANSWERS")]
    parts = scores["slices"] if len(scores["slices"]) > 1 else {}
    rows += [_row(name, score) for name, score in (*parts.items(), ("all", scores["all"]))]
    print_table(rows)
    if not run.complete:
        wanted = manifest.items * manifest.repeats
        print(f"not complete: {scores['all']['answers']} of {wanted} answered, {scores['errors']} errors")
        for record in [record for record in run.records if record.error][:3]:
            print(f"  {record.item}: {record.error}")


def _score(records: Sequence[ItemRecord]) -> dict[str, Any]:
    if not records:
        return {"answers": 0, "score": None, "standard_error": None}
    nats = sum(record.score or 0.0 for record in records)
    if all("bytes" in record.detail for record in records):
        tokens, size = (sum(record.detail[name] for record in records) for name in ("tokens", "bytes"))
        return {
            "answers": len(records),
            "score": math.exp(nats / tokens),
            "standard_error": None,
            "bits_per_byte": nats / math.log(2) / size,
        }
    return {"answers": len(records), "score": nats / len(records), "standard_error": standard_error(records)}


def _row(name: str, score: dict[str, Any]) -> tuple[str, str, str, str]:
    value, error = score["score"], score["standard_error"]
    if "bits_per_byte" in score:
        return name, f"{value:.3f}", f"({score['bits_per_byte']:.3f} bits/byte)", str(score["answers"])
    shown = "–" if value is None else f"{value:.1%}"
    return name, shown, "–" if error is None else f"{error:.1%}", str(score["answers"])
