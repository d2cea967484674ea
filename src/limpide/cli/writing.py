"""Show an answer while it comes: the answer on stdout, everything about it on stderr."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from limpide.cli.terminal import colour_allowed, write
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from limpide.core.ports import ModelInfo


class AnswerWriter:
    """Writes one answer. Thinking goes to stderr, dim and apart, so that a pipe receives the answer alone."""

    def __init__(self, *, show_thinking: bool = True) -> None:
        self._show_thinking = show_thinking
        self._thinking = False
        self._calling: int | None = None
        """The call whose arguments are being shown."""
        self._last = "\n"
        self._started = time.perf_counter()
        self.text: list[str] = []
        self.first_token_seconds: float | None = None
        self.finished: Finished | None = None

    def feed(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Finished):
            self.finished = event
            return
        if self.first_token_seconds is None:
            self.first_token_seconds = time.perf_counter() - self._started
        if isinstance(event, ToolCallDelta):
            self._call(event)
            return
        self._end_call()
        if isinstance(event, ThinkingDelta):
            self._think(event.text)
        elif isinstance(event, TextDelta):
            self._answer(event.text)

    def _think(self, text: str) -> None:
        if not self._show_thinking or not text:
            return
        if not self._thinking:
            self._thinking = True
            if not colour_allowed(sys.stderr):
                sys.stderr.write("[thinking]\n")
        write(text, sys.stderr, style="dim")
        self._last = text

    def _answer(self, text: str) -> None:
        if not text:
            return
        self._end_thinking()
        self.text.append(text)
        write(text, sys.stdout)
        self._last = text

    def _call(self, event: ToolCallDelta) -> None:
        """A call on a line of its own, its arguments as they come."""
        if event.call != self._calling:
            self._end_call()
            self._end_thinking()
            self._end_line(sys.stdout)
            self._calling = event.call
            write(f"{event.name or ''}(", sys.stdout)
        write(event.arguments, sys.stdout)

    def _end_call(self) -> None:
        if self._calling is not None:
            self._calling = None
            write(")\n", sys.stdout)

    def _end_thinking(self) -> None:
        if not self._thinking:
            return
        self._end_line(sys.stderr)
        self._thinking = False
        sys.stderr.write("\n" if colour_allowed(sys.stderr) else "\n[answer]\n")
        sys.stderr.flush()

    def _end_line(self, stream: TextIO) -> None:
        if not self._last.endswith("\n"):
            stream.write("\n")
            stream.flush()
        self._last = "\n"

    def close(self) -> None:
        """End the last line, whatever it was."""
        self._end_call()
        self._end_line(sys.stderr if self._thinking else sys.stdout)


def call_line(name: str, arguments: str) -> str:
    """A tool call for people to read."""
    return f"{name}({arguments})"


def tokens_per_second(usage: Usage) -> float | None:
    """Speed of generation after the first token; None if there was nothing to time."""
    if usage.decode_seconds <= 0 or usage.generated_tokens < 2:
        return None
    return (usage.generated_tokens - 1) / usage.decode_seconds


def summary(info: ModelInfo, finished: Finished, first_token_seconds: float | None) -> str:
    """The line under an answer: tokens, tokens/s, time to first token."""
    usage = finished.usage
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
    parts = [f"{usage.prompt_tokens} prompt{cached} + {_generated(usage)} tokens"]
    speed = tokens_per_second(usage)
    if speed is not None:
        parts.append(f"{speed:.1f} tokens/s")
    if first_token_seconds is not None:
        parts.append(f"first token {first_token_seconds:.2f} s")
    guessed = usage.accepted_draft_tokens + usage.rejected_draft_tokens
    if guessed:
        parts.append(f"{usage.accepted_draft_tokens} of {guessed} guesses right")
    parts.append(f"{info.name}, {info.numerics}")
    if finished.reason == "length":
        parts.append("cut off: max_tokens or the context was reached")
    if usage.thinking_truncated:
        parts.append("the budget ended the thinking")
    return " · ".join(parts)


def _generated(usage: Usage) -> str:
    if usage.thinking_tokens:
        return f"{usage.thinking_tokens} thinking + {usage.answer_tokens} answer"
    return f"{usage.answer_tokens} answer"


def remarks(finished: Finished) -> list[str]:
    """What was not done as asked, from the receipt: nothing is changed in silence."""
    lines = []
    for name, outcome in finished.receipt.parameters.items():
        if outcome.status == "clamped":
            lines.append(f"{name}: {outcome.requested} became {outcome.effective}{_because(outcome.why)}")
        elif outcome.status == "refused":
            lines.append(f"{name}: refused{_because(outcome.why)}")
    return lines


def _because(why: str | None) -> str:
    return f" ({why})" if why else ""
