"""Drawings: an interval on its axis, and scores against what they cost. Positions are in percent, so that a drawing is
as wide as its place while its type keeps its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where a drawing goes, and where its line of reference is: zero, or chance."""

    low: float
    high: float
    reference: float | None = None

    def share(self, value: float) -> float:
        """Where a value is, from 0 to 1; what lies outside is at the edge."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


@dataclass(frozen=True, slots=True)
class Point:
    """A score with its interval, at what it cost."""

    x: float
    y: float
    low: float
    high: float
    label: str


def strip(axis: Axis, value: float, low: float | None, high: float | None, *, margin: float | None = None) -> Markup:
    """An interval as a line with a point: one row of a forest plot. The numbers stand beside it, so it has no label.

    An end that isn't known reaches the edge. `margin` draws the line that B must stay above.
    """

    def at(where: float) -> str:
        return f"{2 + 96 * axis.share(where):.2f}%"

    parts = ['<line class="base" x1="2%" x2="98%" y1="12" y2="12"/>']
    if axis.reference is not None:
        parts.append(f'<line class="reference" x1="{at(axis.reference)}" x2="{at(axis.reference)}" y1="1" y2="23"/>')
    if margin is not None:
        parts.append(f'<line class="margin" x1="{at(-margin)}" x2="{at(-margin)}" y1="1" y2="23"/>')
    ends = at(axis.low if low is None else low), at(axis.high if high is None else high)
    parts.append(f'<line class="interval" x1="{ends[0]}" x2="{ends[1]}" y1="12" y2="12"/>')
    parts += [f'<line class="interval" x1="{end}" x2="{end}" y1="8" y2="16"/>' for end in ends]
    parts.append(f'<circle class="point" cx="{at(value)}" cy="12" r="4.5"/>')
    return Markup(f'<svg class="strip" aria-hidden="true" height="24">{"".join(parts)}</svg>')  # noqa: S704 - numbers


def axis_of(values: Sequence[float | None], *, around_zero: bool = False, shares: bool = True) -> Axis:
    """An axis that holds these values: 0 to 1 for shares; for differences the same room on both sides of zero."""
    known = [value for value in values if value is not None]
    if around_zero:
        room = 1.1 * max(map(abs, known), default=0.0) or 1.0
        return Axis(-room, room, 0.0)
    if shares or not known:
        return Axis(0.0, 1.0)
    room = 0.1 * (max(known) - min(known)) or 0.1
    return Axis(max(0.0, min(known) - room), max(known) + room)


HEIGHT, TOP, BOTTOM = 260, 14, 44
LEFT, WIDTH = 12.0, 83.0


def chart(series: Sequence[Sequence[Point]], across: str, summary: str) -> Markup:
    """Scores upward from 0 to 100 %, costs to the right; the points of a series are joined.

    Six series differ by colour; every point has its label, so that colour isn't needed.
    """
    points = [point for row in series for point in row]
    ticks = nice_ticks(max((point.x for point in points), default=1.0))
    axis = Axis(0.0, ticks[-1])

    def x(value: float) -> str:
        return f"{LEFT + WIDTH * axis.share(value):.2f}%"

    def y(value: float) -> str:
        return f"{TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, max(0.0, value))):.1f}"

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="base" x1="{x(0)}" x2="{LEFT + WIDTH}%" y1="{y(share)}" y2="{y(share)}"/>')
        parts.append(f'<text x="{LEFT - 1.5}%" y="{y(share)}" dy="4" text-anchor="end">{share:.0%}</text>')
    for tick in ticks:
        parts.append(f'<text x="{x(tick)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:,g}</text>')
    middle = f"{LEFT + WIDTH / 2}%"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    for number, row in enumerate(series):
        parts.append(f'<g class="series-{number % 6}">')
        parts += [
            f'<line class="joined" x1="{x(a.x)}" y1="{y(a.y)}" x2="{x(b.x)}" y2="{y(b.y)}"/>' for a, b in pairwise(row)
        ]
        for point in row:
            where = x(point.x)
            parts.append(f'<line class="error" x1="{where}" x2="{where}" y1="{y(point.low)}" y2="{y(point.high)}"/>')
            parts.append(f'<circle class="point" cx="{where}" cy="{y(point.y)}" r="4.5"/>')
            near_edge = axis.share(point.x) > 0.75
            anchor, shift = ("end", -8) if near_edge else ("start", 8)
            label = escape(point.label)
            parts.append(
                f'<text x="{where}" dx="{shift}" y="{y(point.y)}" dy="-7" text-anchor="{anchor}">{label}</text>'
            )
        parts.append("</g>")
    inside = "".join(parts)
    return Markup(  # noqa: S704 - our numbers, and texts that are escaped above
        f'<svg class="chart" role="img" aria-label="{escape(summary)}" height="{HEIGHT}">{inside}</svg>'
    )


def nice_ticks(highest: float, wanted: int = 4) -> list[float]:
    """From 0 to at least the highest value, in steps of 1, 2 or 5 times a power of ten."""
    if not highest > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest / wanted))
    size = next(factor * power for factor in (1, 2, 5, 10) if factor * power * wanted >= highest * (1 - 1e-9))
    return [float(f"{size * number:.12g}") for number in range(math.ceil(highest / size - 1e-9) + 1)]
