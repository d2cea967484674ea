"""Stop strings, wherever token boundaries cut them."""

from __future__ import annotations

from collections.abc import Sequence

from limpide.text.markers import held_suffix


class StopFilter:
    """Passes text on, except what is, or may become, a stop string.

    The string that is complete first wins, the longest if several end together: so the outcome doesn't depend on how
    the text is cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.num_seen = 0
        """Characters that came in."""
        self.num_passed = 0
        """Characters that went out."""
        self.matched: str | None = None

    def push(self, text: str) -> str:
        """What can be shown now. Once `matched` is set nothing comes out any more."""
        if self.matched is not None:
            return ""
        self.num_seen += len(text)
        if not self._stops:
            self.num_passed += len(text)
            return text
        text = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            _, at, self.matched = min(found)
            self._held = ""
            text = text[:at]
        else:
            hold = held_suffix(text, self._stops)
            text, self._held = text[: len(text) - hold], text[len(text) - hold :]
        self.num_passed += len(text)
        return text

    def flush(self) -> str:
        """What was held back: no more text will come."""
        text, self._held = self._held, ""
        self.num_passed += len(text)
        return text
