"""Where one answer stands between thinking and answering, and when its thinking is over."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from limpide.text.markers import held_suffix

if TYPE_CHECKING:
    from limpide.text import ThinkingPlan, Tokenizer


class Phase(Enum):
    """Part of the answer that is being written."""

    OPENING = auto()
    """The model may yet write the marker that opens its thinking."""
    THINKING = auto()
    ANSWER = auto()


Segment = tuple[bool, str]
"""Whether it is thinking, and its text."""


class Gate(Protocol):
    """Tells thinking from answer, and counts the tokens of the thinking."""

    @property
    def phase(self) -> Phase: ...  # noqa: D102
    @property
    def watching(self) -> bool:
        """Whether its markers still count."""
        ...

    @property
    def between(self) -> bool:
        """Whether white space is left out now, as it stands between thinking and answer."""
        ...

    @property
    def num_thinking_tokens(self) -> int:
        """Tokens of the thinking so far, markers included."""
        ...

    @property
    def thinking(self) -> bool:
        """Whether the thinking is open."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether the thinking has to be closed now."""
        ...

    def exhaust(self) -> None:
        """Behave as if the budget were used up."""

    def push(self, text: str) -> list[Segment]:
        """One more token, whose text is `text` (may be empty)."""
        ...

    def overshoots(self, text: str) -> bool:
        """Whether a token of that text would close the thinking and bring a piece of the answer, too."""
        ...

    def closing_text(self) -> str:
        """What has to be appended to close the thinking here. A marker that is already half written is completed."""
        ...

    def close(self, num_tokens: int, undecoded: str = "") -> list[Segment]:
        """The thinking was closed by appending `num_tokens` tokens. undecoded: text that was still held before them."""
        ...

    def finish(self, undecoded: str = "") -> list[Segment]:
        """What was held back: no more text will come. undecoded: text that the detokenizer still held."""
        ...


class ThinkingGate:
    """Tells thinking from answer as text comes in, token by token, and counts tokens against the budget.

    Markers are matched across token boundaries and are part of neither side.
    """

    def __init__(self, plan: ThinkingPlan | None, budget: int | None) -> None:
        self._open = plan.open_marker if plan else None
        self._close = plan.close_marker if plan else None
        self._forced_close = plan.forced_close if plan else ""
        self._budget = budget
        self._held = ""
        self._strip = False
        self._fence = AnswerFence(plan.answer_open, plan.answer_close) if plan and plan.answer_open else None
        self._num_opening = 0
        # Told that its thinking is open, a model may still open it once more, out of habit.
        self._repeats = bool(plan and plan.starts_thinking and plan.open_marker)
        if plan and plan.starts_thinking:
            self.phase = Phase.THINKING
        else:
            self.phase = Phase.OPENING if self._open else Phase.ANSWER
        self.num_thinking_tokens = 0
        """Tokens of the thinking so far, markers included."""
        self._num_counted = 0

    @property
    def exhausted(self) -> bool:
        """Whether the thinking has to be closed now."""
        return self.phase is Phase.THINKING and self._budget is not None and self._num_counted >= self._budget

    @property
    def thinking(self) -> bool:
        """Whether the thinking is open."""
        return self.phase is Phase.THINKING

    @property
    def watching(self) -> bool:
        """Whether its markers still count."""
        return self.phase is not Phase.ANSWER

    @property
    def between(self) -> bool:
        """Whether white space is left out now, as it stands between thinking and answer."""
        return self._strip

    def exhaust(self) -> None:
        """Behave as if the budget were used up."""
        self._budget = 0

    def push(self, text: str) -> list[Segment]:
        """One more token, whose text is `text` (may be empty)."""
        if self.phase is Phase.ANSWER:
            return self._answer(text)
        if self.phase is Phase.OPENING:
            self._num_opening += 1
            return self._opening(text)
        self.num_thinking_tokens += 1
        self._num_counted += 1
        return self._thinking(text)

    def overshoots(self, text: str) -> bool:
        """Whether a token of that text would close the thinking and bring a piece of the answer, too."""
        _, closed, rest = (self._held + text).partition(self._close) if self._close else ("", "", "")
        return self.thinking and bool(closed and rest.strip())

    def closing_text(self) -> str:
        """What has to be appended to close the thinking here. A marker that is already half written is completed."""
        text = self._forced_close
        half = self._held if self._close and self._close.startswith(self._held) else ""
        at = text.find(self._close) if self._close and half else -1
        return text if at < 0 else text[at + len(half) :]

    def close(self, num_tokens: int, undecoded: str = "") -> list[Segment]:
        """The thinking was closed by appending `num_tokens` tokens. undecoded: text that was still held before them."""
        segments = self._thinking(undecoded) if undecoded else []
        self._held = ""
        self.num_thinking_tokens += num_tokens
        self._begin_answer()
        return segments

    def finish(self, undecoded: str = "") -> list[Segment]:
        """What was held back: no more text will come. undecoded: text that the detokenizer still held."""
        text, self._held = self._held + undecoded, ""
        if self.phase is Phase.THINKING:
            return segment(True, text)
        segments = self._answer(text)
        return segments + segment(False, self._fence.flush()) if self._fence else segments

    def _opening(self, text: str) -> list[Segment]:
        marker = self._open or ""
        self._held += text
        begun = self._held.lstrip()
        if begun.startswith(marker):
            self.phase = Phase.THINKING
            self.num_thinking_tokens += self._num_opening
            self._held = ""
            return self._thinking(begun[len(marker) :])
        if marker.startswith(begun):
            return []
        self.phase = Phase.ANSWER
        text, self._held = self._held, ""
        return self._answer(text)

    def _thinking(self, text: str) -> list[Segment]:
        text = self._held + text
        self._held = ""
        if self._repeats and self._open:
            begun = text.lstrip()
            if self._open.startswith(begun) and begun != self._open:
                self._held = text
                return []
            self._repeats = False
            text = begun.removeprefix(self._open) if begun.startswith(self._open) else text
        if self._close is None:
            return segment(True, text)
        at = text.find(self._close)
        if at < 0:
            hold = held_suffix(text, (self._close,))
            self._held = text[len(text) - hold :]
            return segment(True, text[: len(text) - hold])
        self._begin_answer()
        return segment(True, text[:at]) + self._answer(text[at + len(self._close) :])

    def _begin_answer(self) -> None:
        self.phase = Phase.ANSWER
        self._strip = True

    def _answer(self, text: str) -> list[Segment]:
        if self._strip:  # white space between the thinking and the answer belongs to neither
            text = text.lstrip()
            self._strip = not text
        return segment(False, self._fence.push(text) if self._fence else text)


class AnswerFence:
    """Takes away the markers with which a model opens its answer after thinking, and ends it."""

    def __init__(self, opening: str, closing: str | None) -> None:
        self._opening: str | None = opening
        self._closing = closing or ""
        self._held = ""

    def push(self, text: str) -> str:
        """What of the answer can be shown now."""
        text, self._held = self._held + text, ""
        if self._opening is not None:
            begun = text.lstrip()
            if self._opening.startswith(begun) and begun != self._opening:
                self._held = text
                return ""
            fenced = begun.startswith(self._opening)
            text = begun.removeprefix(self._opening).lstrip() if fenced else text
            if fenced and not text:
                self._held = self._opening
                return ""
            self._opening = None
        body = text.rstrip()
        if self._closing and body.endswith(self._closing):  # if nothing follows
            keep = len(body) - len(self._closing)
        else:
            keep = len(text) - held_suffix(text, (self._closing,))
        self._held = text[keep:]
        return text[:keep]

    def flush(self) -> str:
        """What was held back, unless it is a marker."""
        held, self._held = self._held, ""
        return "" if held.strip() in (self._opening, self._closing) else held


def segment(thinking: bool, text: str) -> list[Segment]:
    """Text as segments: none if there is none."""
    return [(thinking, text)] if text else []


def encode_inside(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of trusted text that goes on from what is there: its markers are special tokens, no space is put in front."""
    ids: list[int] = []
    for part in tokenizer.split_special(text):
        ids.extend([part] if isinstance(part, int) else tokenizer.encode_part(part, first=False))
    return ids
