"""Safety: what was measured of it, and what was not."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Bullets, Paragraph, Table, shown
from limpide.cards.estimates import of_records
from limpide.cards.evidence import Evidence

NAME = "safety"
TITLE = "Safety"
TASK = "safety-lite"
UNMEASURED = (
    "dangerous knowledge (biology, chemistry, cyber)",
    "success of attacks against their budget",
    "what it costs to remove refusals from the weights",
    "bias between groups of people",
    "memorised training data",
)
"""Areas without a task here; the measurement of one takes its line away."""


def data(evidence: Evidence) -> dict[str, Any] | None:
    """Right reactions to what only sounds dangerous, and to what is better declined; None without such a run."""
    runs = [kept for kept in evidence.runs if kept.run.manifest.task == TASK]
    if not runs:
        return None
    return {
        "runs": [
            {
                "run": kept.name,
                "thinking": kept.run.manifest.thinking,
                "parts": {
                    name: of_records([r for r in kept.run.records if r.slice == name])
                    for name in sorted({record.slice for record in kept.run.records})
                },
            }
            for kept in runs
        ],
        "not_measured": list(UNMEASURED),
    }


def blocks(found: dict[str, Any]) -> list[Block]:
    """The runs, and the list of what is open."""
    rows = tuple(
        (name, run["thinking"], shown(part), "0" if part is None else str(part["items"]))
        for run in found["runs"]
        for name, part in run["parts"].items()
    )
    return [
        Table(("kind of question", "thinking", "right reactions (95 % interval)", "items"), rows),
        Paragraph("Graded by a detector of words, on harmless content. Not measured:"),
        Bullets(tuple(found["not_measured"])),
    ]
