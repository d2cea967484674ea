"""The numbers of a report as plain data, schema `limpide.report/1`. The page and the Markdown show nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limpide.core.errors import InvalidParameter
from limpide.core.strict import plain
from limpide.evals.grading import is_passage
from limpide.evals.pairing import sides_of
from limpide.evals.prices import Prices
from limpide.evals.report.comparisons import comparison_data
from limpide.evals.report.curves import curves_of
from limpide.evals.report.matching import families, matches
from limpide.evals.report.source import Source
from limpide.evals.statistics import mean_interval

SCHEMA = "limpide.report/1"


def report_data(sources: Sequence[Source], prices: Prices | None = None) -> dict[str, Any]:
    """Everything that these runs say. Raises InvalidParameter for no runs, and what the statistics raise.

    Tasks, runs and models come in the order given; the first model is the one that others are compared with.
    """
    if not sources:
        raise InvalidParameter("runs", [], "at least one run")
    numbers = {id(source): number for number, source in enumerate(sources, 1)}
    runs = [_run(numbers[id(source)], source, prices) for source in sources]
    compared, refused = families(list(matches(sources)))
    tasks = list(dict.fromkeys(source.run.manifest.task for source in sources))
    return {
        "schema": SCHEMA,
        "currency": prices.currency if prices else None,
        "tasks": tasks,
        "models": list(dict.fromkeys(source.run.manifest.model for source in sources)),
        "runs": runs,
        "comparisons": [comparison_data(family, numbers) for family in compared],
        "curves": curves_of(sources, numbers),
        "not_compared": [
            {"kind": match.kind, "a": numbers[id(match.a)], "b": numbers[id(match.b)], "why": why}
            for match, why in refused
        ],
        "not_measured": _missing(runs, tasks, priced=prices is not None),
    }


def as_json(data: Mapping[str, Any]) -> str:
    """The numbers as JSON in ASCII, which holds any text of a model: half of a surrogate pair too."""
    return json.dumps(data, allow_nan=False)


def _run(number: int, source: Source, prices: Prices | None) -> dict[str, Any]:
    run, manifest = source.run, source.run.manifest
    sides, why, asked = sides_of(run)
    passages = bool(asked) and all(map(is_passage, asked.values()))
    sign = -1 if passages else 1
    names = sorted({asked[item].slice for item in sides})

    def estimate(items: Sequence[str], what: str = "score", *, bounded: bool = False) -> dict[str, Any] | None:
        if not items:
            return None
        values = [getattr(sides[item], what) for item in items]
        values = [sign * value for value in values] if what == "score" else values
        return mean_interval(values, [asked[item].cluster for item in items], bounded=bounded).as_dict()

    everything = list(sides)
    answered = [record for record in run.records if record.error is None]
    return {
        "number": number,
        "name": f"{manifest.model}, thinking {manifest.thinking}",
        "task": manifest.task,
        "model": manifest.model,
        "thinking": manifest.thinking,
        "unit": "bits per byte" if passages else "score from 0 to 1",
        "complete": run.complete,
        "score": estimate(everything, bounded=not passages),
        "slices": {
            name: estimate([item for item in everything if asked[item].slice == name], bounded=not passages)
            for name in names
        },
        "tokens_read": estimate(everything, "read"),
        "tokens_written": estimate(everything, "written"),
        "seconds": estimate(everything, "seconds") if any(record.seconds for record in answered) else None,
        "cost": _cost(source, prices),
        "answers": len(answered),
        "answers_wanted": manifest.items * manifest.repeats,
        "cut_off": sum(record.finish == "length" for record in answered),
        "left_out": dict(why),
        "manifest": plain(manifest),
        "manifest_sha256": source.manifest_sha256,
        "items_sha256": source.items_sha256,
    }


def _cost(source: Source, prices: Prices | None) -> dict[str, Any] | None:
    """What the answers cost in all, and per item with its interval; None without a price."""
    price = prices.models.get(source.run.manifest.model) if prices else None
    sides, _, asked = sides_of(source.run)
    if price is None or not sides:
        return None
    costs: dict[str, list[float]] = {}
    for record in source.run.records:
        if record.error is None:
            spent = price.of(
                prompt=record.prompt_tokens,
                cached=record.cached_tokens,
                generated=record.thinking_tokens + record.answer_tokens,
            )
            costs.setdefault(record.item, []).append(spent)
    means = [sum(costs[item]) / len(costs[item]) for item in sides]
    found = mean_interval(means, [asked[item].cluster for item in sides], bounded=False)
    return {"total": sum(map(sum, costs.values())), "per_item": found.as_dict()}


def _missing(runs: Sequence[dict[str, Any]], tasks: Sequence[str], *, priced: bool) -> list[str]:
    """What a reader might think was measured, and was not: one line for each run and reason, with its tasks."""
    told: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys(run["name"] for run in runs):
        if absent := [task for task in tasks if not any((run["name"], run["task"]) == (name, task) for run in runs)]:
            told[name, "not asked"] = absent
    for run in runs:
        for reason in _reasons(run, priced=priced):
            told.setdefault((run["name"], reason), []).append(run["task"])
    lines = [f"{name}: {reason}: {', '.join(names)}." for (name, reason), names in told.items()]
    return lines if priced else [*lines, "Cost: no list of prices was given."]


def _reasons(run: dict[str, Any], *, priced: bool) -> Iterator[str]:
    if not run["complete"]:
        yield f"only {run['answers']} of {run['answers_wanted']} answers are there"
    if run["left_out"]:
        yield f"{len(run['left_out'])} items without a full answer, which are in no number"
    if run["cut_off"]:
        yield f"answers that the limit cut off, graded as they stand ({run['cut_off']})"
    if run["seconds"] is None:
        yield "no time per item, since items were scored together"
    if priced and run["cost"] is None:
        yield "no cost, since the list has no price"
    if run["manifest"]["backend"]["weights_sha256"] is None:
        yield "not known which weights answered, since the endpoint doesn't show them"
    if run["score"] and run["score"]["clusters"] < 2:
        yield "not known how much other items would differ, since all share one source"
