"""The scores of a run as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from limpide.cli.tables import print_table
from limpide.core.evidence import ItemRecord
from limpide.evals.estimates import are_passages, perplexity_estimate, score_estimate
from limpide.evals.run import Run


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
    rows = [("SLICE", "SCORE", "95 % INTERVAL", "ANSWERS")]
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
        return {"answers": 0, "score": None}
    passages = are_passages(records)
    plain = (perplexity_estimate(records) if passages else score_estimate(records)).as_dict()
    found = {"answers": len(records), "score": plain.pop("mean"), **plain}
    if passages:
        nats = sum(record.score or 0.0 for record in records)
        found["bits_per_byte"] = nats / math.log(2) / sum(record.detail["bytes"] for record in records)
    return found


def _row(name: str, score: dict[str, Any]) -> tuple[str, str, str, str]:
    if score["score"] is None:
        return name, "–", "–", "0"
    passages = "bits_per_byte" in score
    value, low, high = (_shown(score[end], passages=passages) for end in ("score", "low", "high"))
    if passages:
        value += f" ({score['bits_per_byte']:.3f} bits/byte)"
    return name, value, f"{low} – {high}", str(score["answers"])


def _shown(value: float | None, *, passages: bool) -> str:
    if value is None:
        return "?"
    return f"{value:.3f}" if passages else f"{value:.1%}"
