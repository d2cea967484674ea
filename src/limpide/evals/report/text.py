"""How numbers and other people's texts are written in a report, for the page and for Markdown alike."""

from __future__ import annotations

import re
from typing import Any

MOST_CHARACTERS = 4000
"""Of one answer that a page shows; the rest is told by its length."""

PERCENT = "\u00a0%"

# What would reorder or hide text: bidi controls and marks, controls that are no white space, tags. Joiners stay, since
# scripts and emoji need them. Lone surrogates can't be written to a file.
HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def code_point(character: str) -> str:
    """U+202E for what can't be seen."""
    return f"U+{ord(character):04X}"


def cut(text: str, most: int = MOST_CHARACTERS) -> tuple[str, int]:
    """The beginning of a text, and how many characters are not in it."""
    return text[:most], max(0, len(text) - most)


def level(value: float | None, unit: str) -> str:
    """A score: 61.3 %, or bits per byte as they are."""
    if value is None:
        return "–"
    return f"{100 * value:.1f}{PERCENT}" if _is_share(unit) else f"{abs(value):.3f}"


def step(value: float | None, unit: str) -> str:
    """A difference of scores, with its sign; in points, or in bits per byte (of which fewer are better)."""
    if value is None:
        return "unknown"
    # Python's minus is a hyphen; the sign is what a reader looks at here.
    return (f"{100 * value:+.1f}" if _is_share(unit) else f"{value:+.3f}").replace("-", "−")


def interval(found: dict[str, Any], unit: str) -> str:
    """Both ends of a score's interval."""
    if found["low"] is None or found["high"] is None:
        return "unknown: a single source"
    return f"{level(found['low'], unit).removesuffix(PERCENT)} to {level(found['high'], unit)}"


def step_interval(found: dict[str, Any], unit: str) -> str:
    """Both ends of a difference's interval."""
    if found["low"] is None or found["high"] is None:
        return "unknown: a single source"
    return f"{step(found['low'], unit)} to {step(found['high'], unit)}"


def amount(value: float | None) -> str:
    """Tokens, seconds: as many digits as say something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def money(value: float | None, currency: str | None) -> str:
    """A cost, however small."""
    return "–" if value is None else f"{value:.4g} {currency or ''}".strip()


def probability(value: float) -> str:
    """A p-value."""
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"


def _is_share(unit: str) -> bool:
    return unit.startswith("score")
