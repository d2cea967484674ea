"""Which runs of a report are compared with which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from limpide.core.errors import NotComparable
from limpide.evals.compare import Comparison, compare
from limpide.evals.pairing import Pairing, pair
from limpide.evals.registration import Registration
from limpide.evals.report.source import Source, promise_between
from limpide.evals.statistics.noninferiority import ALPHA


@dataclass(frozen=True, slots=True)
class Match:
    """Two runs of one task, and what is compared by them."""

    kind: str
    """"models", "thinking" or "settings"."""
    a: Source
    b: Source


@dataclass(frozen=True, slots=True)
class Family:
    """The same two sides over several tasks: p-values are corrected over these."""

    kind: str
    matches: tuple[Match, ...]
    comparison: Comparison


def matches(sources: Sequence[Source]) -> Iterator[Match]:
    """Each model against the first one given, by the same thinking; and within a model, thinking against none.

    A second run of the same model and thinking is compared with the first of them as "settings".
    """
    for task in dict.fromkeys(source.run.manifest.task for source in sources):
        groups: dict[object, list[Source]] = {}
        for source in sources:
            if source.run.manifest.task == task:
                groups.setdefault(source.subject, []).append(source)
        first, *others = groups.values()
        for group in others:
            alike = [(a, b) for b in group for a in first if a.run.manifest.thinking == b.run.manifest.thinking]
            taken: dict[str, tuple[Source, Source]] = {}
            for a, b in alike or [(first[0], group[0])]:
                taken.setdefault(b.run.manifest.thinking, (a, b))
            yield from (Match("models", a, b) for a, b in taken.values())
        for group in groups.values():
            yield from _within(group)


def _within(group: Sequence[Source]) -> Iterator[Match]:
    by_thinking: dict[str, Source] = {}
    for source in group:
        name = source.run.manifest.thinking
        if name in by_thinking:
            yield Match("settings", by_thinking[name], source)
        else:
            by_thinking[name] = source
    off = next((source for source in by_thinking.values() if not source.thinking.enabled), None)
    if off is not None:
        yield from (Match("thinking", off, on) for on in by_thinking.values() if on.thinking.enabled)


def families(found: Sequence[Match]) -> tuple[list[Family], list[tuple[Match, str]]]:
    """The comparisons, tasks of the same two sides together; and the pairs that can't be compared, with the reason."""
    put: dict[object, list[tuple[Match, Pairing, Registration | None]]] = {}
    refused: list[tuple[Match, str]] = []
    for match in found:
        try:
            paired = pair(match.a.run, match.b.run)
        except NotComparable as error:
            refused.append((match, str(error)))
            continue
        promised = promise_between(match.a, match.b) if match.kind == "models" else None
        if promised is not None and paired.a.task not in promised.tasks:
            promised = None
        key: tuple[object, ...] = (
            match.kind,
            match.a.subject,
            match.b.subject,
            paired.a.thinking,
            paired.b.thinking,
            promised and (promised.margin, promised.alpha),
        )
        while any(other.a.task == paired.a.task for _, other, _ in put.get(key, ())):
            key = (*key, "again")
        put.setdefault(key, []).append((match, paired, promised))
    made = []
    for rows in put.values():
        each, pairings, registrations = zip(*rows, strict=True)
        margin, alpha = (registrations[0].margin, registrations[0].alpha) if registrations[0] else (None, ALPHA)
        compared = compare(pairings, margin=margin, alpha=alpha, registrations=registrations)
        made.append(Family(each[0].kind, tuple(each), compared))
    return made, refused
