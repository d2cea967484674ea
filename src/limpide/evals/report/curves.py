"""Accuracy against budgets of thinking, for each model that was asked with several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limpide.evals.pairing import sides_of
from limpide.evals.report.source import Source
from limpide.evals.statistics import budget_curve


def curves_of(sources: Sequence[Source], numbers: Mapping[int, int]) -> list[dict[str, Any]]:
    """A curve for each task and model with two budgets or more, over the items that were answered at all of them.

    An unlimited budget is what the context leaves; where that isn't known either, the run is in no curve.
    """
    groups: dict[object, dict[int, Source]] = {}
    for source in sources:
        manifest = source.run.manifest
        budget = source.thinking.budget if source.thinking.budget is not None else manifest.context
        if budget is not None:
            key = (manifest.task, manifest.task_sha256, source.subject)
            groups.setdefault(key, {}).setdefault(budget, source)
    return [_curve(group, numbers) for group in groups.values() if len(group) > 1 and _shared(group)]


def _shared(group: Mapping[int, Source]) -> list[str]:
    """Items that were answered in full at every budget."""
    first, *others = (sides_of(source.run)[0] for source in group.values())
    return [item for item in first if all(item in sides for sides in others)]


def _curve(group: Mapping[int, Source], numbers: Mapping[int, int]) -> dict[str, Any]:
    items = _shared(group)
    budgets = dict(sorted(group.items()))
    found = {budget: sides_of(source.run) for budget, source in budgets.items()}
    manifest = next(iter(budgets.values())).run.manifest
    asked = next(iter(found.values()))[2]
    curve = budget_curve(
        {budget: [sides[item].score for item in items] for budget, (sides, _, _) in found.items()},
        {budget: [sides[item].written for item in items] for budget, (sides, _, _) in found.items()},
        [asked[item].cluster for item in items],
    )
    return {
        "task": manifest.task,
        "model": manifest.model,
        "items": len(items),
        "runs": [numbers[id(source)] for source in budgets.values()],
        **curve.as_dict(),
    }
