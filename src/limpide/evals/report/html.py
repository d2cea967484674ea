"""The report as one HTML file: no script, no request, nothing of other people's that isn't text."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from limpide.evals.report import svg, text

SHOWN = 30
"""Items of a comparison that are laid side by side, unless another number is asked for."""


def as_html(data: Mapping[str, Any], *, items: int = SHOWN) -> str:
    """The page for what `report_data` gave; of the items on which two sides differ at most `items` per task."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (text.level, text.step, text.interval, text.step_interval, text.amount, text.money):
        environment.filters[function.__name__] = function
    environment.filters.update(probability=text.probability, visible=visible, answer=answer)
    environment.globals.update(
        strip=svg.strip,
        axis_of=svg.axis_of,
        token_chart=token_chart,
        cost_chart=cost_chart,
        differences=differences,
        letters=LETTERS,
    )
    return environment.get_template("report.html.jinja").render(report=data, shown=items)


def visible(value: object) -> Markup:
    """Anybody's text, escaped; what would reorder or hide it is shown by its number."""
    whole, parts, end = str(value), [], 0
    for found in text.HIDDEN.finditer(whole):
        name = text.code_point(found.group())
        parts += [escape(whole[end : found.start()]), Markup('<span class="hidden-character">{}</span>').format(name)]
        end = found.end()
    return Markup("").join([*parts, escape(whole[end:])])


def answer(value: str) -> Markup:
    """What a model wrote: as `visible`, and not without end."""
    shown, more = text.cut(value)
    told = Markup('<span class="cut">… and {} more characters</span>').format(f"{more:,}") if more else Markup("")
    return visible(shown) + told


def differences(task: Mapping[str, Any]) -> dict[str, Any]:
    """Value, ends and unit by which a compared task is shown: bits per byte as they are, of which fewer are better."""
    found = task["difference"]
    passages = not task["unit"].startswith("score")
    sign = -1 if passages else 1
    ends = [None if found[end] is None else sign * found[end] for end in ("low", "high")]
    low, high = ends[::-1] if passages else ends
    return {
        "unit": "bits per byte" if passages else "score",
        "word": "bits per byte" if passages else "points",
        "value": sign * found["difference"],
        "ends": {"low": low, "high": high},
        "passages": passages,
    }


def token_chart(data: Mapping[str, Any], task: str) -> Markup | None:
    """Score against tokens written per item, for each model with several budgets; None if there is none.

    Points are labelled by their budget; with several models, by the model's letter too.
    """
    curves = [curve for curve in data["curves"] if curve["task"] == task]
    if not curves:
        return None
    series = []
    for letter, curve in zip(LETTERS, curves, strict=False):
        before = f"{letter} " if len(curves) > 1 else ""
        points = sorted(curve["points"], key=lambda each: float(each["tokens"]["mean"]))
        series.append([_point(each["tokens"]["mean"], each["score"], f"{before}{each['budget']:,}") for each in points])
    return svg.chart(series, "tokens written per item", _summary(task, "tokens"))


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def cost_chart(data: Mapping[str, Any], task: str) -> Markup | None:
    """Score against the cost of an item, where two runs or more have a price. Points are labelled by run number."""
    runs = [
        run for run in data["runs"] if run["task"] == task and run["cost"] and run["score"] and run["score"]["bounded"]
    ]
    if len(runs) < 2:
        return None
    by_model: dict[str, list[svg.Point]] = {}
    for run in sorted(runs, key=lambda each: float(each["cost"]["per_item"]["mean"])):
        point = _point(1000 * run["cost"]["per_item"]["mean"], run["score"], str(run["number"]))
        by_model.setdefault(run["model"], []).append(point)
    across = f"{text.HIDDEN.sub('', data['currency'])[:12]} per 1,000 items"
    return svg.chart(list(by_model.values()), across, _summary(task, "cost"))


def _summary(task: str, across: str) -> str:
    """What a screen reader says of a chart."""
    return f"{text.HIDDEN.sub('', task)}: score against {across}; the numbers are in the table"


def _point(x: float, score: Mapping[str, Any], label: str) -> svg.Point:
    return svg.Point(x, score["mean"], score["low"], score["high"], label)


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
