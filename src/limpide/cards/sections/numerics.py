"""Exact against fast: from two runs that differ in their numerics alone."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Paragraph, Table, shown
from limpide.cards.estimates import estimate
from limpide.cards.evidence import Evidence, KeptRun
from limpide.core.evidence import ItemRecord

NAME = "numerics"
TITLE = "Numerics: exact against fast"
OF_NO_MATTER = {"backend.numerics", "versions", "machine"}
"""What may differ between the two beside the moment."""


def data(evidence: Evidence) -> dict[str, Any] | None:
    """Shares of items with the same answer, for each pair of runs; None if there is no pair."""
    exact = [kept for kept in evidence.runs if kept.run.manifest.backend.numerics == "exact"]
    fast = [kept for kept in evidence.runs if kept.run.manifest.backend.numerics == "fast"]
    pairs = [_pair(a, b) for a in exact for b in fast if _differ_in_numerics_alone(a, b)]
    found = [pair for pair in pairs if pair is not None]
    return {"pairs": found} if found else None


def _differ_in_numerics_alone(a: KeptRun, b: KeptRun) -> bool:
    names = {name for name, _, _ in a.run.manifest.differences(b.run.manifest)}
    return {name if name == "backend.numerics" else name.partition(".")[0] for name in names} <= OF_NO_MATTER


def _pair(exact: KeptRun, fast: KeptRun) -> dict[str, Any] | None:
    one, other = ({r.key: r for r in kept.run.records if r.error is None} for kept in (exact, fast))
    both = [key for key in one if key in other]
    if not both:
        return None
    clusters = [one[key].cluster for key in both]
    same = [float(_said(one[key]) == _said(other[key])) for key in both]
    return {
        "task": exact.run.manifest.task,
        "exact": exact.name,
        "fast": fast.name,
        "same_answers": {**estimate(same, clusters, bounded=True), "unit": "share"},
    }


def _said(record: ItemRecord) -> tuple[object, ...]:
    return record.answer, record.thinking, record.tool_calls, record.finish


def blocks(found: dict[str, Any]) -> list[Block]:
    """A row for each pair."""
    rows = tuple((p["task"], shown(p["same_answers"]), str(p["same_answers"]["items"])) for p in found["pairs"])
    return [
        Paragraph("Share of answers that are the same, word for word, in exact and in fast arithmetic."),
        Table(("task", "same answers (95 % interval)", "answers"), rows),
    ]
