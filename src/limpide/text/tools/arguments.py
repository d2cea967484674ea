"""The arguments of calls while they are being written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container
from typing import Final

from limpide.text.markers import held_suffix
from limpide.text.tools.base import CallArguments, CallBegun, ReadCall, ToolDialect
from limpide.text.tools.extents import JsonExtent

MAX_HEAD: Final = 1024
"""Characters in which the arguments must have begun to be passed on while they are written."""


class CallStream(ABC):
    """Passes on the calls in one unit as their text comes.

    A call is begun once its name is known, is that of an offered tool, and its arguments have begun. From then on it
    can't be unsaid. What else a unit may hold is for the dialect's reader, when the unit has ended.
    """

    def __init__(self, ends: tuple[str, ...]) -> None:
        self._ends = ends
        self._held = ""
        """What may become the unit's end marker."""
        self.position = 0
        """Characters of the unit up to the end of the last arguments that were passed on."""

    @property
    @abstractmethod
    def calls(self) -> list[ReadCall]:
        """All that was passed on, as calls."""

    @property
    def open(self) -> bool:
        """Whether all that was written since some arguments have begun was passed on, and they have not ended."""
        return False

    def push(self, text: str) -> list[CallBegun | CallArguments]:
        """More of the unit, its end marker not included as far as that is known."""
        text = self._held + text
        keep = len(text) - held_suffix(text, self._ends)
        self._held = text[keep:]
        return self._follow(text[:keep])

    def finish(self, text: str = "") -> list[CallBegun | CallArguments]:
        """The last of the unit, with its end marker if it has one: what was held back is part of it."""
        text, self._held = self._held + text, ""
        end = next((end for end in self._ends if text.endswith(end)), "")
        return self._follow(text.removesuffix(end)) + self._close(ended=bool(end))

    @abstractmethod
    def _follow(self, text: str) -> list[CallBegun | CallArguments]:
        """Take more of the unit."""

    def _close(self, *, ended: bool) -> list[CallBegun | CallArguments]:
        """The unit is complete. ended: its end marker was there."""
        return []


class ArgumentStream(CallStream):
    """Passes on arguments that are JSON exactly as they are written."""

    def __init__(self, dialect: ToolDialect, tools: Container[str], ends: tuple[str, ...]) -> None:
        super().__init__(ends)
        self._tools = tools
        self._heads = dialect.heads
        self._next_heads = dialect.next_heads
        self._before = ""
        """What stands before the next arguments, as far as it came."""
        self._json: JsonExtent | None = None
        """Follows the arguments that are being written."""
        self._calls: list[tuple[str, list[str]]] = []

    @property
    def calls(self) -> list[ReadCall]:
        """See CallStream."""
        return [ReadCall(name, "".join(parts)) for name, parts in self._calls]

    @property
    def open(self) -> bool:
        """See CallStream."""
        return self._json is not None

    def _follow(self, text: str) -> list[CallBegun | CallArguments]:
        out: list[CallBegun | CallArguments] = []
        while text and (self._json or self._heads):
            text = self._argue(self._json, text, out) if self._json else self._begin(text, out)
        return out

    def _begin(self, text: str, out: list[CallBegun | CallArguments]) -> str:
        """Look for the beginning of arguments; what stands behind it is returned."""
        before = self._before + text
        found = next((found for head in self._heads if (found := head.match(before, 0, MAX_HEAD))), None)
        if found is None or (name := found["name"].strip()) not in self._tools:
            self._before = before
            if found is not None or len(before) >= MAX_HEAD:
                self._heads = ()  # no call that could be begun early
            return ""
        self._before, self._heads, self._json = "", self._next_heads, JsonExtent()
        self._calls.append((name, []))
        self.position += found.end()
        out.append(CallBegun(name))
        return before[found.end() :]

    def _argue(self, json: JsonExtent, text: str, out: list[CallBegun | CallArguments]) -> str:
        """Pass arguments on; what stands behind them is returned."""
        written, end = json.follow(text)
        self._calls[-1][1].append(written)
        out.append(CallArguments(written))
        self.position += len(text) if end is None else end
        if end is None:
            return ""
        self._json = None
        return text[end:]
