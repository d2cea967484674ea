from __future__ import annotations

import io
import sys

import pytest

from limpide.cli.lines import Lines
from limpide.core.errors import InvalidText


def lines(monkeypatch: pytest.MonkeyPatch, content: bytes) -> Lines:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return Lines()


def test_one_line_is_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(lines(monkeypatch, "a\r\nOù ?\n\nlast".encode())) == ["a", "Où ?", "", "last"]


def test_a_backslash_joins_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(lines(monkeypatch, b"one\\\ntwo\\\nthree\nfour\n")) == ["one\ntwo\nthree", "four"]


@pytest.mark.parametrize("content", [b'"""\none\n\ntwo\n"""\n', b'"""one\n\ntwo"""\n', b'  """one\n\ntwo\n"""  \n'])
def test_a_block_is_one_turn(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    assert list(lines(monkeypatch, content + b"after\n")) == ["one\n\ntwo", "after"]


def test_a_block_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(lines(monkeypatch, b'"""one"""\nafter\n')) == ["one", "after"]


def test_bad_bytes_spoil_their_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = lines(monkeypatch, b"caf\xe9\nnext\n")
    with pytest.raises(InvalidText):
        turns.next()
    assert turns.next() == "next"
    with pytest.raises(EOFError):
        turns.next()
