"""Markers in text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence


def held_suffix(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of `text` that may be the beginning of a marker, a whole marker not counted."""
    longest = min(len(text), max((len(m) for m in markers), default=1) - 1)
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(len(m) > length and m.startswith(end) for m in markers):
            return length
    return 0
