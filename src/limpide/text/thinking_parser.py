"""Tells thinking from answer in text that comes in pieces."""

from __future__ import annotations

from typing import Literal

from limpide.text.thinking import ThinkingPlan

Part = tuple[Literal["thinking", "text"], str]


class ThinkingSplitter:
    """Follows a plan over streaming text; markers may be cut anywhere.

    It holds back only what may be the start of a marker, or white space that may turn out to lie beside one. White
    space around the thinking and between it and the answer belongs to the fences and is dropped.
    """

    def __init__(self, plan: ThinkingPlan) -> None:
        self._close = plan.close_marker
        self._open = None if plan.starts_thinking or plan.budget == 0 else plan.open_marker
        self._state: Literal["start", "thinking", "text"] = (
            "thinking" if plan.starts_thinking else "start" if self._open else "text"
        )
        self._held = ""
        self._at_start = plan.starts_thinking
        """White space that comes now lies beside a fence."""

    @property
    def thinking(self) -> bool:
        """Whether the next text is thinking, as far as can be known yet."""
        return self._state == "thinking"

    def push(self, text: str) -> list[Part]:
        """What has become certain with this text."""
        self._held += text
        parts: list[Part] = []
        while self._step(parts):
            pass
        return parts

    def close(self) -> list[Part]:
        """The engine has ended the thinking: what comes now is answer. What is held back is thinking."""
        parts: list[Part] = []
        if self._state != "text":
            if self._state == "thinking":
                self._emit(parts, "thinking", self._held.rstrip())
            else:
                self._emit(parts, "text", self._held)
            self._held, self._state, self._at_start = "", "text", True
        return parts

    def flush(self) -> list[Part]:
        """What is held back, at the end of the stream."""
        parts: list[Part] = []
        rest, self._held = self._held, ""
        if self._state == "thinking":
            self._emit(parts, "thinking", rest.rstrip())
        else:
            self._emit(parts, "text", rest)
        return parts

    def _step(self, parts: list[Part]) -> bool:
        """Take what can be taken from the held text. True if it may be possible to take more."""
        match self._state:
            case "start":
                return self._start(parts)
            case "thinking":
                return self._think(parts)
            case _:
                self._emit(parts, "text", self._held)
                self._held = ""
                return False

    def _start(self, parts: list[Part]) -> bool:
        marker = self._open or ""
        rest = self._held.lstrip()
        if rest.startswith(marker):
            self._held, self._state, self._at_start = rest[len(marker) :], "thinking", True
            return True
        if marker.startswith(rest):
            return False
        self._state = "text"
        return True

    def _think(self, parts: list[Part]) -> bool:
        at = -1 if self._close is None else self._held.find(self._close)
        if self._close is not None and at >= 0:
            self._emit(parts, "thinking", self._held[:at].rstrip())
            self._held, self._state, self._at_start = self._held[at + len(self._close) :], "text", True
            return True
        certain = len(self._held) - _overlap(self._held, self._close or "")
        certain = len(self._held[:certain].rstrip())
        self._emit(parts, "thinking", self._held[:certain])
        self._held = self._held[certain:]
        return False

    def _emit(self, parts: list[Part], kind: Literal["thinking", "text"], text: str) -> None:
        if self._at_start:
            text = text.lstrip()
            if text:
                self._at_start = False
        if text:
            if parts and parts[-1][0] == kind:
                parts[-1] = (kind, parts[-1][1] + text)
            else:
                parts.append((kind, text))


def _overlap(text: str, marker: str) -> int:
    """Length of the longest end of the text that is a beginning of the marker (not all of it)."""
    for length in range(min(len(marker) - 1, len(text)), 0, -1):
        if text.endswith(marker[:length]):
            return length
    return 0
