from __future__ import annotations

import json
from pathlib import Path

import pytest

from limpide.cli.transcript import load, save
from limpide.core.errors import DiskFull, InvalidParameter
from limpide.core.messages import Message

TURNS = (
    Message("system", "Be brief."),
    Message("user", "Où ?"),
    Message("assistant", "Là.", thinking="Hm.\nSo."),
)


def test_json_can_be_read_back(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    save(file, TURNS, {"model": "m"})
    assert load(file) == TURNS
    assert json.loads(file.read_text(encoding="utf-8"))["model"] == "m"


def test_markdown_is_for_people(tmp_path: Path) -> None:
    file = tmp_path / "talk.md"
    save(file, TURNS, {"model": "m"})
    assert file.read_text(encoding="utf-8") == (
        "# Conversation\n\n- model: m\n\n## System\n\nBe brief.\n\n## User\n\nOù ?\n\n## Assistant\n\n"
        "> Hm.\n> So.\n\nLà.\n"
    )


def test_only_two_forms(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"talk\.txt"):
        save(tmp_path / "talk.txt", TURNS, {})


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="file"):
        save(tmp_path / "nowhere" / "talk.md", TURNS, {})


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "talk.json"
    save(file, TURNS, {})
    before = file.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFull, match="No space left"):
        save(file, TURNS[:2], {})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"schema": "other"}', '{"schema": "limpide.chat/1", "messages": [{}]}', "[" * 10000]
)
def test_what_is_no_conversation_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "talk.json"
    file.write_text(content)
    with pytest.raises(InvalidParameter):
        load(file)


def test_a_message_of_an_unknown_role_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text('{"schema": "limpide.chat/1", "messages": [{"role": "robot", "content": "x"}]}')
    with pytest.raises(InvalidParameter):
        load(file)
