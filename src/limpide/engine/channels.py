"""Thinking and answer of a turn that is made of messages on channels."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from limpide.engine.thinking import Gate, Phase, Segment, ThinkingGate, segment
from limpide.text.markers import held_suffix

if TYPE_CHECKING:
    from limpide.text import ThinkingPlan
    from limpide.text.channels import ChannelFormat

MAX_HEADER = 512
"""Characters after which what should be a header is taken for the text of an answer."""


class _Place(Enum):
    HEADER = auto()
    THINKING = auto()
    ANSWER = auto()
    CALL = auto()
    """A message to somebody else than the reader: it is handed on with its header and end."""


class ChannelGate:
    """A gate for one turn of several messages: thinking may come back after a part of the answer, and be closed again.

    Generation begins behind the start of the first message. Structure is part of neither side.
    """

    def __init__(self, plan: ThinkingPlan, channels: ChannelFormat, budget: int | None) -> None:
        self._format = channels
        self._plan = plan
        self._budget = budget
        self._breaks = re.compile("|".join(map(re.escape, (*channels.ends, channels.start))))
        self._signs = (channels.start, channels.channel, channels.recipient, channels.message)
        self._place = _Place.HEADER
        self._held = ""
        self._num_header = 0
        self._num_closed = 0
        self.num_thinking_tokens = 0
        """Tokens of the thinking so far, headers and ends included."""
        self._num_counted = 0
        self._consume(plan.begun)

    @property
    def phase(self) -> Phase:
        """Part of the answer that is being written."""
        if self._place is _Place.HEADER:
            return Phase.OPENING
        return Phase.THINKING if self.thinking else Phase.ANSWER

    @property
    def watching(self) -> bool:
        """Whether its markers still count: always, each message ends with one."""
        return True

    @property
    def between(self) -> bool:
        """Never: white space within a message is part of it."""
        return False

    @property
    def thinking(self) -> bool:
        """Whether the thinking is open."""
        return self._place is _Place.THINKING

    @property
    def exhausted(self) -> bool:
        """Whether the thinking has to be closed now."""
        return self.thinking and self._budget is not None and self._num_counted >= self._budget

    def exhaust(self) -> None:
        """Behave as if the budget were used up."""
        self._budget = 0

    def push(self, text: str) -> list[Segment]:
        """One more token, whose text is `text` (may be empty)."""
        if self.thinking:
            self.num_thinking_tokens += 1
            self._num_counted += 1
        elif self._place is _Place.HEADER:
            self._num_header += 1
        before = self._place
        segments = self._consume(text)
        if before is _Place.HEADER and self.thinking:
            self.num_thinking_tokens += self._num_header
        if self._place is not _Place.HEADER:
            self._num_header = 0
        return segments

    def overshoots(self, _text: str) -> bool:
        """Never: what ends a message is a token of its own."""
        return False

    def closing_text(self) -> str:
        """What has to be appended to close the thinking here. A marker that is already half written is completed."""
        text = self._closing()
        return text[len(self._held) :] if text.startswith(self._held) else text

    def close(self, num_tokens: int, undecoded: str = "") -> list[Segment]:
        """The thinking was closed by appending `num_tokens` tokens. undecoded: text that was still held before them."""
        segments = self._consume(undecoded)
        text, held = self._closing(), self._held
        if not text.startswith(held):
            segments += segment(True, held)
        self._held = ""
        self._num_closed += 1
        self.num_thinking_tokens += num_tokens
        self._consume(text)
        return segments

    def finish(self, undecoded: str = "") -> list[Segment]:
        """What was held back: no more text will come. undecoded: text that the detokenizer still held."""
        segments = self._consume(undecoded)
        held, self._held = self._held, ""
        if self._place is not _Place.HEADER:
            return segments + segment(self.thinking, held)
        # A header without a message says nothing, unless it was to become a call.
        lost = self._format.start + held.removeprefix(self._format.start) if self._format.recipient in held else ""
        return segments + segment(False, lost)

    def _closing(self) -> str:
        return self._plan.insisting_close if self._num_closed else self._plan.forced_close

    def _consume(self, text: str) -> list[Segment]:
        segments: list[Segment] = []
        while text:
            text = self._header(text, segments) if self._place is _Place.HEADER else self._body(text, segments)
        return segments

    def _header(self, text: str, segments: list[Segment]) -> str:
        """Take what belongs to the header; what stands behind it is returned."""
        text, self._held = self._held + text, ""
        header, message, rest = text.partition(self._format.message)
        if not message:
            if self._may_be_header(text):
                self._held = text
                return ""
            self._place = _Place.ANSWER
            return text
        header = header.lstrip().removeprefix(self._format.start)
        channel = re.search(re.escape(self._format.channel) + r"\s*(\w+)", header)
        if self._format.recipient in header:
            self._place = _Place.CALL
            segments += segment(False, self._format.start + header + message)
        else:
            known = channel is not None and channel[1] in self._format.thinking
            self._place = _Place.THINKING if known else _Place.ANSWER
        return rest

    def _may_be_header(self, text: str) -> bool:
        rest = text.lstrip().removeprefix(self._format.start).lstrip()
        known = any(rest.startswith(sign) or sign.startswith(rest) for sign in self._signs)
        return known and len(text) <= MAX_HEADER

    def _body(self, text: str, segments: list[Segment]) -> str:
        """Take what belongs to the message; what stands behind it is returned."""
        text, self._held = self._held + text, ""
        found = self._breaks.search(text)
        if found is None:
            keep = len(text) - held_suffix(text, (*self._format.ends, self._format.start))
            segments += segment(self.thinking, text[:keep])
            self._held = text[keep:]
            return ""
        end = found[0] if found[0] in self._format.ends else self._format.ends[0]
        segments += segment(self.thinking, text[: found.start()] + (end if self._place is _Place.CALL else ""))
        self._place = _Place.HEADER
        return text[found.end() :]


def gate_for(plan: ThinkingPlan | None, budget: int | None) -> Gate:
    """The gate that a plan asks for; without a plan all is answer."""
    if plan is not None and plan.channels is not None:
        return ChannelGate(plan, plan.channels, budget)
    return ThinkingGate(plan, budget)
