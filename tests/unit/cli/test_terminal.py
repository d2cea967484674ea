from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.cli.terminal import colour_allowed, harmless, is_terminal, styled, write


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x9b31m", "\ufffd31m"),
        ("one\rtwo", "onetwo"),
        ("a\x08b\x7f", "a␈b␡"),
        ("\u202eevil\u2066", "\ufffdevil\ufffd"),
        ("line\n\ttab é 日本 🙂", "line\n\ttab é 日本 🙂"),
    ],
)
def test_a_terminal_is_shown_nothing_that_it_obeys(hostile: str, shown: str) -> None:
    stream = Tty()
    write(hostile, stream)
    assert stream.getvalue() == shown


@given(st.text())
def test_harmless_leaves_no_control_characters(text: str) -> None:
    assert not {c for c in harmless(text) if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0}


def test_a_pipe_gets_the_bytes_as_they_are() -> None:
    stream = io.StringIO()
    write("\x1b[2J\r", stream, style="dim")
    assert stream.getvalue() == "\x1b[2J\r"


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert styled("x", "dim", Tty()) == "\x1b[2mx\x1b[0m"
    assert styled("", "dim", Tty()) == ""
    assert not colour_allowed(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", "dim", Tty()) == "x"
    monkeypatch.setenv("NO_COLOR", "")
    assert colour_allowed(Tty())
    monkeypatch.setenv("TERM", "dumb")
    assert not colour_allowed(Tty())


def test_a_closed_stream_is_no_terminal() -> None:
    stream = Tty()
    stream.close()
    assert not is_terminal(io.TextIOWrapper(io.BytesIO()))
