from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from limpide.cli import prompting
from limpide.cli.prompting import gather
from limpide.core.errors import EmptyPrompt, InvalidParameter, InvalidText


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_files_come_before_the_question(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("\ufeffFirst.\n", encoding="utf-8")
    two.write_text("  Second, indented.\n\n", encoding="utf-8")
    assert gather("What?", [one, two]) == "First.\n\n  Second, indented.\n\nWhat?"


def test_a_pipe_is_read_without_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "Où ?\n".encode())
    assert gather(None, []) == "Où ?"


def test_a_pipe_is_left_alone_beside_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"\xff")
    assert gather("What?", []) == "What?"


def test_dash_is_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"notes")
    assert gather("-", []) == "notes"
    pipe(monkeypatch, b"notes")
    assert gather("Sum up.", [Path("-")]) == "notes\n\nSum up."


def test_the_standard_input_can_be_read_once() -> None:
    with pytest.raises(InvalidParameter, match="-"):
        gather("-", [Path("-")])


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
def test_nothing_to_ask(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    pipe(monkeypatch, content)
    with pytest.raises(EmptyPrompt):
        gather(None, [])


def test_invalid_utf8_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pipe(monkeypatch, b"caf\xe9")
    with pytest.raises(InvalidText, match=r"byte 3 is 0xe9"):
        gather("-", [])
    file = tmp_path / "latin"
    file.write_bytes(b"\xff\xfeh\x00i\x00")
    with pytest.raises(InvalidText, match="latin"):
        gather("What?", [file])
    with pytest.raises(InvalidText):
        gather(os.fsdecode(b"caf\xe9"), [])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="nowhere"):
        gather("What?", [tmp_path / "nowhere"])
    with pytest.raises(InvalidParameter, match="file"):
        gather("What?", [tmp_path])


def test_endless_input_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prompting, "MAX_INPUT", 1000)
    pipe(monkeypatch, b"x" * 1001)
    with pytest.raises(InvalidParameter, match="standard input"):
        gather("-", [])
    file = tmp_path / "large"
    file.write_bytes(b"x" * 1001)
    with pytest.raises(InvalidParameter, match="large"):
        gather("What?", [file])
