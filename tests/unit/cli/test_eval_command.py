from __future__ import annotations

import json
import math
import os
import pty
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from limpide.cli.progress import counting
from limpide.evals.run import Run
from limpide.evals.statistics import mean_interval
from limpide.evals.tasks import TASKS

if TYPE_CHECKING:
    from conftest import CommandLine


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "q.jsonl"
    lines = [
        {"prompt": "a", "reference": "This is a scripted answer", "slice": "right"},
        {"prompt": "b", "reference": "Something else", "slice": "wrong"},
        {"prompt": "c", "reference": "Something else", "slice": "wrong"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_list_has_every_task(limpide: CommandLine) -> None:
    shown = limpide("eval", "--list")
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == list(TASKS)


@pytest.mark.parametrize("words", [("eval",), ("eval", "run")], ids=" ".join)
def test_a_run_and_its_scores(limpide: CommandLine, questions: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "runs"
    shown = limpide(*words, "some-model", "--task", "my", "--file", str(questions), "-o", str(folder))
    assert (shown.code, shown.err) == (0, "")
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[0][:2] == ["my", "1"]
    assert [row[:2] for row in rows[2:]] == [["right", "100.0%"], ["wrong", "0.0%"], ["all", "33.3%"]]
    whole = mean_interval([1.0, 0.0, 0.0])
    assert rows[-1][2:] == [f"{whole.low:.1%}", "–", f"{whole.high:.1%}", "3"]
    assert limpide("eval", "show", str(folder)).out == limpide("eval", "show", str(folder / "my")).out == shown.out
    assert limpide.opened[0].reference == "some-model"


def test_json_has_manifest_and_scores(limpide: CommandLine, questions: Path, tmp_path: Path) -> None:
    arguments = ("--task", "my", "--file", str(questions), "--seed", "5", "-o", str(tmp_path / "runs"), "--json")
    first = json.loads(limpide("eval", "m", *arguments).out)
    assert first == json.loads(limpide("eval", "show", str(tmp_path / "runs"), "--json").out)
    assert first["manifest"]["schema"] == "limpide.run/1"
    assert first["manifest"]["seed"] == 5
    found, expected = first["scores"]["all"], mean_interval([1.0, 0.0, 0.0])
    assert (found["answers"], found["items"], found["clusters"], found["confidence"]) == (3, 3, 3, 0.95)
    assert (found["score"], found["low"], found["high"]) == (pytest.approx(1 / 3), expected.low, expected.high)
    assert first["scores"]["complete"] is True


def test_several_tasks_have_folders_of_their_own(limpide: CommandLine, tmp_path: Path) -> None:
    shown = limpide("eval", "m", "--task", "choices", "--task", "english", "--limit", "8", "-o", str(tmp_path / "r"))
    assert shown.code == 0
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["choices", "english"]
    assert limpide("eval", "show", str(tmp_path / "r")).out == shown.out


def test_perplexity_is_shown_per_token_and_per_byte(limpide: CommandLine, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("word " * 900)
    arguments = ("eval", "m", "--task", "perplexity", "--file", str(text), "--numerics", "exact")
    scores = json.loads(limpide(*arguments, "--json").out)["scores"]
    assert scores["all"]["score"] == pytest.approx(math.exp(30), rel=1e-3)  # the scripted model is as sure of others
    assert scores["all"]["bits_per_byte"] == pytest.approx(30 / math.log(2), rel=1e-3)  # a token is a byte
    assert "bits/byte" in limpide(*arguments).out


def test_errors_are_counted_and_shown(limpide: CommandLine, questions: Path) -> None:
    with questions.open("a") as file:
        file.write(json.dumps({"id": "long", "prompt": "x" * 9000, "reference": "x"}) + "\n")
    shown = limpide("eval", "m", "--task", "my", "--file", str(questions))
    assert shown.code == 0
    assert "not complete: 3 of 4 answered, 1 errors" in shown.out
    assert "long: ContextExceeded" in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "limpide eval --list"),
        (("--task", "instuctions"), 2, "did you mean instructions"),
        (("--task", "my"), 2, "--file QUESTIONS.jsonl"),
        (("--task", "choices", "--resume"), 2, "-o FOLDER"),
        (("--task", "choices", "--think", "low"), 2, "scored by likelihood"),
        (("--task", "choices", "--temperature", "1", "--repeats", "2"), 2, "scored by likelihood"),
        (("--task", "choices", "--max-tokens", "5"), 2, "max_tokens can't be 5"),
        (("--task", "tools", "--check", "pyproject.toml"), 2, "grades its own items"),
        (("--task", "tools", "--repeats", "2"), 2, "temperature"),
        (("--task", "tools", "--shots", "2"), 2, "no examples to show"),
        (("--task", "tools", "--file", "pyproject.toml"), 2, "makes its own items"),
        (("--task", "tools", "--limit", "0"), 2, "limit can't be 0"),
        (("--task", "tools", "--max-tokens", "0"), 2, "max_tokens can't be 0"),
        (("--task", "choices", "--shots", "65"), 2, "shots can't be 65"),
    ],
)
def test_what_can_not_be_is_said(limpide: CommandLine, arguments: tuple[str, ...], code: int, told: str) -> None:
    shown = limpide("eval", "m", *arguments)
    assert shown.code == code
    assert told in shown.err


def test_wrong_questions_are_said_before_a_model_is_loaded(limpide: CommandLine, questions: Path) -> None:
    questions.write_text(questions.read_text() + "rubbish\n")
    shown = limpide("eval", "m", "--task", "my", "--file", str(questions))
    assert shown.code == 2
    assert "line 4, column 1" in shown.err
    assert limpide.opened == []


def test_no_run_and_a_damaged_one(limpide: CommandLine, tmp_path: Path) -> None:
    assert limpide("eval", "show", str(tmp_path)).code == 2
    (tmp_path / "manifest.json").write_text("{")
    shown = limpide("eval", "show", str(tmp_path))
    assert shown.code == 4
    assert "corrupt-run" in shown.err


def test_an_interrupt_says_how_to_go_on(
    limpide: CommandLine, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limpide.evals.tasks.my import My

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    arguments = ("eval", "m", "--task", "my", "--file", str(questions), "-o", str(tmp_path / "r"))
    with monkeypatch.context() as patched:
        patched.setattr(My, "grade", interrupted)
        shown = limpide(*arguments)
    assert shown.code == 130
    assert "--resume" in shown.err
    assert limpide(*arguments).code == 2
    assert limpide(*arguments, "--resume").code == 0
    assert Run.read(tmp_path / "r" / "my").complete


def test_a_bar_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with counting("my task") as told:
            told(3, 12)
    seen = "".join(iter(lambda: _read(ours), ""))
    os.close(ours)
    assert "my task" in seen
    assert "3/12" in seen


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 10_000).decode()
    except OSError:  # as Linux says that the other end is closed
        return ""
