"""A comparison as plain data, with the items on which the two sides differ laid side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpide.core.evidence import ItemRecord
from limpide.evals.compare import TaskComparison
from limpide.evals.report.matching import Family, Match
from limpide.evals.report.source import Source
from limpide.evals.statistics import paired_difference, thinking_gain


def comparison_data(family: Family, numbers: Mapping[int, int]) -> dict[str, Any]:
    """`numbers`: id of each source → its number in the report."""
    return {
        "kind": family.kind,
        "name_a": _name(family.matches[0].a, family),
        "name_b": _name(family.matches[0].b, family),
        **{name: value for name, value in family.comparison.as_dict().items() if name not in ("schema", "tasks")},
        "tasks": [
            _task(match, each, numbers) for match, each in zip(family.matches, family.comparison.tasks, strict=True)
        ],
    }


def _name(source: Source, family: Family) -> str:
    manifest = source.run.manifest
    if family.kind == "thinking":
        return f"{manifest.model}, thinking {manifest.thinking}"
    same = all(match.a.run.manifest.thinking == match.b.run.manifest.thinking for match in family.matches)
    return manifest.model if same and manifest.thinking == "off" else f"{manifest.model}, thinking {manifest.thinking}"


def _task(match: Match, each: TaskComparison, numbers: Mapping[int, int]) -> dict[str, Any]:
    pairs = each.pairing.pairs
    clusters = [pair.cluster for pair in pairs]
    written = [pair.a.written for pair in pairs], [pair.b.written for pair in pairs]
    gain = None
    if match.kind == "thinking":
        scores = [pair.a.score for pair in pairs], [pair.b.score for pair in pairs]
        gain = thinking_gain(*scores, *written, clusters).points_per_thousand_tokens
    records = _first_answers(match.a), _first_answers(match.b)
    return {
        **each.as_dict(),
        "run_a": numbers[id(match.a)],
        "run_b": numbers[id(match.b)],
        "tokens_per_item": paired_difference(*written, clusters, bounded=False).as_dict(),
        "points_per_thousand_tokens": gain,
        "disagreements": [
            {
                "item": pair.item,
                "slice": pair.slice,
                "a": _side(pair.a.score, records[0][pair.item]),
                "b": _side(pair.b.score, records[1][pair.item]),
            }
            for pair in each.disagreements
        ],
    }


def _first_answers(source: Source) -> dict[str, ItemRecord]:
    """Item → the answer of its first repeat."""
    return {record.item: record for record in sorted(source.run.records, key=lambda each: -each.repeat)}


def _side(score: float, record: ItemRecord) -> dict[str, Any]:
    return {
        "score": score,
        "answer": record.answer,
        "thinking": record.thinking,
        "tool_calls": [dict(call) for call in record.tool_calls],
        "tokens_read": record.prompt_tokens,
        "tokens_thought": record.thinking_tokens,
        "tokens_answered": record.answer_tokens,
        "seconds": record.seconds,
    }
