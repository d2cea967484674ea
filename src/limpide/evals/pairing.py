"""The items that two runs have in common, with what each scored on them; and those they haven't, which are told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpide.core.errors import NotComparable
from limpide.core.evidence import ItemRecord, RunManifest
from limpide.evals.grading import is_passage
from limpide.evals.run import Run
from limpide.evals.statistics import averaged

SAME = ("task", "task_version", "seed", "shots")
"""Fields of the manifest without which the items are not the same."""
ITS_OWN = ("model", "architecture", "context", "backend", "versions", "machine")
"""What says which model it is and where it ran: expected to differ, so it isn't told."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one model did with one item, over all repeats."""

    score: float
    """Mean over the repeats, more is better; of a passage, minus its bits per byte."""
    read: float
    """Tokens of the prompt or, where likelihoods are scored, of what is scored; mean over the repeats."""
    written: float
    """Tokens generated, thinking included; mean over the repeats."""
    seconds: float
    answer: str
    """Of the first repeat."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One item, asked of both."""

    item: str
    cluster: str
    slice: str
    a: Side
    b: Side


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two runs of one task, item by item."""

    a: RunManifest
    b: RunManifest
    pairs: tuple[Pair, ...]
    unpaired: Mapping[str, str]
    """Item → why it could not be compared. They are in no number."""
    passages: bool
    """Whether bits per byte are compared, and not scores from 0 to 1."""
    differing: tuple[tuple[str, Any, Any], ...]
    """Name and both values of how they were asked, where that was not the same: thinking, sampling, repeats …"""


def pair(a: Run, b: Run) -> Pairing:
    """Match two runs by item ids. Raises NotComparable if they didn't ask the same, or share no item."""
    _check(a.manifest, b.manifest)
    sides_a, why_a, asked_a = sides_of(a)
    sides_b, why_b, asked_b = sides_of(b)
    for item in asked_a.keys() & asked_b.keys():
        if asked_a[item].prompt_sha256 != asked_b[item].prompt_sha256 or asked_a[item].cluster != asked_b[item].cluster:
            raise NotComparable(
                f"the item {item} of {a.manifest.task} is not the same in both runs",
                expected="the same prompt, and the same source",
                hint="run both with the same file and options",
            )
    pairs = tuple(
        Pair(item, record.cluster, record.slice, sides_a[item], sides_b[item])
        for item, record in asked_a.items()
        if item in sides_a and item in sides_b
    )
    if not pairs:
        raise NotComparable(
            f"the two runs of {a.manifest.task} share no item that both answered",
            expected="at least one",
            hint="limpide eval show tells how far each run came",
        )
    unpaired = {
        item: "; ".join(
            f"{name}: {why.get(item, 'not asked')}"
            for name, sides, why in (("A", sides_a, why_a), ("B", sides_b, why_b))
            if item not in sides
        )
        for item in (asked_a | asked_b)
        if not (item in sides_a and item in sides_b)
    }
    kinds = {is_passage(asked_a[each.item]) for each in pairs}
    if len(kinds) > 1:
        raise NotComparable(
            f"{a.manifest.task} mixes passages, measured in bits, with items scored from 0 to 1",
            expected="one kind of score",
            hint="put the passages into a file of their own",
        )
    differing = tuple(
        each
        for each in a.manifest.differences(b.manifest)
        if each[0].partition(".")[0] not in (*ITS_OWN, "task_sha256")
    )
    return Pairing(a.manifest, b.manifest, pairs, unpaired, kinds.pop(), differing)


def _check(a: RunManifest, b: RunManifest) -> None:
    wrong = [
        f"{name} {getattr(a, name)!r} and {getattr(b, name)!r}" for name in SAME if getattr(a, name) != getattr(b, name)
    ]
    if not wrong and a.task_sha256 != b.task_sha256 and a.limit == b.limit:
        wrong = [f"other items or other references: {a.task_sha256[:12]} and {b.task_sha256[:12]}"]
    if wrong:
        raise NotComparable(
            f"the runs did not ask the same: {'; '.join(wrong)}",
            expected=f"the same {', '.join(SAME)} and items",
            hint="run both with the same options, or let `limpide compare A B --task …` do it",
        )


def sides_of(run: Run) -> tuple[dict[str, Side], dict[str, str], dict[str, ItemRecord]]:
    """What was answered in full; why the others were not; and a record of each item that was asked."""
    by_item: dict[str, list[ItemRecord]] = {}
    for record in run.records:
        by_item.setdefault(record.item, []).append(record)
    # What is scored by likelihood has one record, whatever the repeats.
    sides, why, asked = {}, {}, {}
    for item, records in by_item.items():
        asked[item] = records[0]
        if failed := [record.error for record in records if record.error is not None]:
            why[item] = failed[0]
        elif records[0].finish is not None and len(records) < run.manifest.repeats:
            why[item] = f"{len(records)} of {run.manifest.repeats} repeats answered"
        else:
            sides[item] = _side(records)
    return sides, why, asked


def _side(records: Sequence[ItemRecord]) -> Side:
    first = min(records, key=lambda record: record.repeat)

    def mean(values: Sequence[float]) -> float:
        return averaged({first.item: values})[first.item]

    return Side(
        score=mean([_score(record) for record in records]),
        read=mean([float(record.prompt_tokens) for record in records]),
        written=mean([float(record.thinking_tokens + record.answer_tokens) for record in records]),
        seconds=mean([record.seconds for record in records]),
        answer=first.answer,
    )


def _score(record: ItemRecord) -> float:
    assert record.score is not None  # noqa: S101 - a record without an error has one
    if is_passage(record):
        return -record.score / math.log(2) / max(1, int(record.detail["bytes"]))
    return record.score
