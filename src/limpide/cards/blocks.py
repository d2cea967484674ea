"""What a section is made of, before it is Markdown or HTML, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """What can be typed into a terminal."""

    lines: tuple[str, ...]


Block = Paragraph | Bullets | Table | Commands

NOT_MEASURED = "Not measured."


def shown(estimate: Mapping[str, Any] | None) -> str:
    """`62.5 % (40.1 to 80.5)`: the value and its 95 % interval."""
    if estimate is None:
        return "not measured"
    write = _percent if estimate["unit"] == "share" else _number
    unit = " %" if estimate["unit"] == "share" else f" {estimate['unit']}"
    low, high = estimate["low"], estimate["high"]
    ends = "interval unknown" if low is None or high is None else f"{write(low)} to {write(high)}"
    return f"{write(estimate['value'])}{unit} ({ends})"


def _percent(number: float) -> str:
    return f"{100 * number:.1f}"


def _number(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1000 else f"{number:,.0f}"
