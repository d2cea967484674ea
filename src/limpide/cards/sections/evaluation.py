"""Evaluation: from the records of runs."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Paragraph, Table, shown
from limpide.cards.estimates import of_records, rounded
from limpide.cards.evidence import Evidence, KeptRun

NAME = "evaluation"
TITLE = "Evaluation"


def data(evidence: Evidence) -> dict[str, Any] | None:
    """Each run with its parts; None without any."""
    return {"runs": [_run(kept) for kept in evidence.runs]} if evidence.runs else None


def _run(kept: KeptRun) -> dict[str, Any]:
    manifest, records = kept.run.manifest, kept.run.records
    slices = sorted({record.slice for record in records})
    return {
        "task": manifest.task,
        "version": manifest.task_version,
        "all": of_records(records),
        "slices": {name: of_records([r for r in records if r.slice == name]) for name in slices},
        "complete": kept.run.complete,
        "answers": sum(record.error is None for record in records),
        "errors": sum(record.error is not None for record in records),
        "wanted": manifest.items * manifest.repeats,
        "thinking": manifest.thinking,
        "numerics": manifest.backend.numerics,
        "shots": manifest.shots,
        "repeats": manifest.repeats,
        "seed": manifest.seed,
        "thinking_tokens": sum(record.thinking_tokens for record in records),
        "answer_tokens": sum(record.answer_tokens for record in records),
        "seconds": rounded(sum(record.seconds for record in records)),
        "started_at": manifest.started_at,
        "evidence": {
            "folder": f"evidence/runs/{kept.name}",
            "manifest_sha256": kept.manifest_sha256,
            "items_sha256": kept.items_sha256,
        },
    }


def blocks(found: dict[str, Any]) -> list[Block]:
    """All runs in one table, then the parts of each."""
    made: list[Block] = [
        Paragraph(
            "Values are means over items; the interval is of 95 %, for items like these. "
            "Where items share a source, the sources are what counts."
        ),
        Table(
            ("task", "version", "value (95 % interval)", "items", "sources", "answers", "thinking", "numerics", "seed"),
            tuple(_row(run) for run in found["runs"]),
        ),
        Table(
            ("task", "shots", "repeats", "tokens of thinking", "tokens of answers", "evidence (sha256 of the items)"),
            tuple(_cost(run) for run in found["runs"]),
        ),
    ]
    for run in found["runs"]:
        if len(run["slices"]) > 1:
            rows = tuple((name, shown(part), _items(part)) for name, part in run["slices"].items())
            made.append(Table((f"{run['task']}: part", "value (95 % interval)", "items"), rows))
    return made


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    answers = f"{run['answers']} of {run['wanted']}" + ("" if run["complete"] else ", not complete")
    return (
        run["task"],
        run["version"],
        shown(run["all"]),
        _items(run["all"]),
        "0" if run["all"] is None else str(run["all"]["clusters"]),
        answers,
        run["thinking"],
        str(run["numerics"]),
        str(run["seed"]),
    )


def _cost(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        run["task"],
        str(run["shots"]),
        str(run["repeats"]),
        f"{run['thinking_tokens']:,}",
        f"{run['answer_tokens']:,}",
        f"{run['evidence']['folder']}: {run['evidence']['items_sha256'][:16]}",
    )


def _items(part: dict[str, Any] | None) -> str:
    return "0" if part is None else str(part["items"])
