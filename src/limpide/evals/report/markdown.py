"""The report's tables as Markdown, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limpide.evals.report.html import differences
from limpide.evals.report.text import (
    HIDDEN,
    amount,
    code_point,
    cut,
    interval,
    level,
    money,
    probability,
    step,
    step_interval,
)

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#!|~&$@]|:(?=//)|(?<=www)\.")
_LONGEST = 200


def as_markdown(data: Mapping[str, Any]) -> str:
    """What `report_data` gave, without drawings and answers."""
    return "\n".join(_lines(data)) + "\n"


def plain_text(value: object) -> str:
    """Anybody's text on one line, in which nothing is markup, a link or a mention."""
    line, more = cut(" ".join(str(value).split()), _LONGEST)
    line = HIDDEN.sub(lambda found: f"⟨{code_point(found.group())}⟩", line)
    return _SPECIAL.sub(lambda found: f"&#{ord(found.group())};", line) + (f"… and {more:,} more" if more else "")


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Evaluation of {', '.join(map(plain_text, data['models']))}"
    for task in data["tasks"]:
        runs = [run for run in data["runs"] if run["task"] == task]
        yield from ("", f"## {plain_text(task)}", "")
        yield from _table(
            ("run", "slice", "items", "score", "95 % interval"), [row for run in runs for row in _scores(run)]
        )
        yield ""
        yield from _table(
            ("run", "tokens read per item", "written", "seconds", "cost in all"),
            [_spent(run, data["currency"]) for run in runs],
        )
    for found in data["comparisons"]:
        yield from ("", f"## A: {plain_text(found['name_a'])} · B: {plain_text(found['name_b'])}", "")
        if found["verdict"]:
            yield from (
                f"**{found['verdict']}** by a margin of {100 * found['margin']:g} points, {found['margin_was']}.",
                "",
            )
        yield from _table(
            ("task", "items", "B − A", "95 % interval", "p (Holm)", "tokens per item, B − A"),
            [_difference(task) for task in found["tasks"]],
        )
    yield from ("", "## What was not measured", "")
    yield from (f"- {plain_text(line)}" for line in data["not_measured"])
    yield from (
        f"- Run {each['a']} against run {each['b']}: {plain_text(each['why'])}" for each in data["not_compared"]
    )
    yield from ("", "## Evidence", "")
    yield from _table(
        ("run", "task", "manifest.json", "items.jsonl"),
        [
            (plain_text(run["name"]), plain_text(run["task"]), run["manifest_sha256"], run["items_sha256"] or "none")
            for run in data["runs"]
        ],
    )


def _scores(run: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if run["score"] is None:
        yield plain_text(run["name"]), "all", "0", "–", "–"
        return
    parts = run["slices"].items() if len(run["slices"]) > 1 else ()
    for name, found in (("all", run["score"]), *parts):
        unit = run["unit"]
        yield (
            plain_text(run["name"]),
            plain_text(name),
            str(found["items"]),
            level(found["mean"], unit) + ("" if unit.startswith("score") else f" {unit}"),
            interval(found, unit),
        )


def _spent(run: Mapping[str, Any], currency: str | None) -> tuple[str, ...]:
    means = [amount(run[what]["mean"] if run[what] else None) for what in ("tokens_read", "tokens_written", "seconds")]
    cost = money(run["cost"]["total"], plain_text(currency or "")) if run["cost"] else "–"
    return plain_text(run["name"]), *means, cost


def _difference(task: Mapping[str, Any]) -> tuple[str, ...]:
    told = differences(task)
    return (
        plain_text(task["task"]),
        str(task["difference"]["items"]),
        f"{step(told['value'], told['unit'])} {told['word']}",
        step_interval(told["ends"], told["unit"]),
        probability(task["test"]["holm"]),
        f"{task['tokens_per_item']['difference']:+.0f}",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
