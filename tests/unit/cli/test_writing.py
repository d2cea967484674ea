"""How an answer looks on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from limpide.cli.writing import AnswerWriter, remarks, summary, tokens_per_second
from limpide.core.events import Finished, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from limpide.core.ports import ModelInfo
from limpide.core.receipt import Outcome, Receipt
from limpide.core.thinking import Capability

INFO = ModelInfo("m", "llama", 100, Capability.NATIVE, chat=True, licence=None, numerics="fast")


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def one_screen(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """stdout and stderr of one terminal. Not a fixture: pytest puts its own streams back before the test."""
    tty = Tty()
    monkeypatch.setattr(sys, "stdout", tty)
    monkeypatch.setattr(sys, "stderr", tty)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tty


def finished(usage: Usage, outcomes: dict[str, Outcome] | None = None) -> Finished:
    return Finished("stop", usage, Receipt(outcomes or {}, "m", None, None, None, "e", "fast", 0))


def test_calls_are_lines_of_their_own_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    writer = AnswerWriter()
    shown = []
    for event in (
        TextDelta("Let me see."),
        ToolCallDelta(0, "a", "weather"),
        ToolCallDelta(0, arguments='{"city": '),
        ToolCallDelta(0, arguments='"Lyon"}'),
        ToolCallDelta(1, "b", "now", "{}"),
        TextDelta("So."),
    ):
        writer.feed(event)
        shown.append(capsys.readouterr().out)
    writer.close()
    assert shown == ["Let me see.", "\nweather(", '{"city": ', '"Lyon"}', ")\nnow({}", ")\nSo."]
    assert writer.text == ["Let me see.", "So."]


def test_a_call_that_is_broken_off_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    writer = AnswerWriter()
    writer.feed(ToolCallDelta(0, "a", "weather", '{"ci'))
    writer.close()
    assert capsys.readouterr().out == 'weather({"ci)\n'


def test_thinking_is_dim_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = one_screen(monkeypatch)
    writer = AnswerWriter()
    for event in (ThinkingDelta("Hm"), ThinkingDelta("m."), TextDelta("Yes"), TextDelta(".")):
        writer.feed(event)
    writer.close()
    assert screen.getvalue() == "\x1b[2mHm\x1b[0m\x1b[2mm.\x1b[0m\n\nYes.\n"
    assert "".join(writer.text) == "Yes."


def test_without_colour_words_set_it_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = one_screen(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    writer = AnswerWriter()
    for event in (ThinkingDelta("Hm.\n"), TextDelta("Yes.\n")):
        writer.feed(event)
    writer.close()
    assert screen.getvalue() == "[thinking]\nHm.\n\n[answer]\nYes.\n"


def test_a_model_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = one_screen(monkeypatch)
    writer = AnswerWriter()
    writer.feed(ThinkingDelta("\x1b]0;mine\x07"))
    writer.feed(TextDelta("\x1b[2J"))
    writer.close()
    assert screen.getvalue() == "\x1b[2m␛]0;mine␇\x1b[0m\n\n␛[2J\n"


def test_what_breaks_off_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = one_screen(monkeypatch)
    writer = AnswerWriter()
    writer.feed(ThinkingDelta("Hm"))
    writer.close()
    assert screen.getvalue() == "\x1b[2mHm\x1b[0m\n"
    AnswerWriter().close()
    assert screen.getvalue() == "\x1b[2mHm\x1b[0m\n"


def test_the_final_line() -> None:
    usage = Usage(10, 4, 3, 5, thinking_truncated=True, decode_seconds=0.5)
    assert summary(INFO, finished(usage), 0.25) == (
        "10 prompt (4 cached) + 3 thinking + 5 answer tokens · 14.0 tokens/s · first token 0.25 s · m, fast"
        " · the budget ended the thinking"
    )
    assert tokens_per_second(Usage(10, 0, 0, 1, decode_seconds=0.5)) is None
    assert tokens_per_second(Usage(10, 0, 0, 9, decode_seconds=0.0)) is None


def test_nothing_is_changed_in_silence() -> None:
    outcomes = {
        "think": Outcome("clamped", 300, 100, "room for the answer"),
        "top_k": Outcome("refused", 5, None, "greedy"),
        "seed": Outcome("applied", 1, 1),
    }
    assert remarks(finished(Usage(1, 0, 0, 1), outcomes)) == [
        "think: 300 became 100 (room for the answer)",
        "top_k: refused (greedy)",
    ]
