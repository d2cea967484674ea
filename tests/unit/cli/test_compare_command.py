"""`limpide compare` over the scripted backend: what it prints, writes, refuses and exits with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from limpide.cli.compare import EXIT_UNDECIDED, EXIT_WORSE

COUNT = 60


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    lines = [{"id": f"q{n}", "prompt": f"Please say word{n}", "reference": f"word{n}"} for n in range(COUNT)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def right(prompt: str) -> str:
    return prompt.rpartition("say ")[2].removesuffix("<|end|>")


def forgetful(share: float) -> Any:
    """Right but for a share of the questions, always the same."""

    def answer(prompt: str) -> str:
        return "no idea" if random.Random(right(prompt)).random() < share else right(prompt)

    return answer


@pytest.fixture
def models(limpide: Any) -> Any:
    """Models by name: each answers as its script says."""
    scripts: dict[str, Any] = {"good": right, "same": right, "half": forgetful(0.5), "nearly": forgetful(0.05)}

    def open_model(choice: Any) -> Any:
        limpide.options = {"reply": scripts.get(choice.reference, right)}
        return limpide.open_model(choice)

    limpide.monkeypatch.setattr("limpide.cli.compare.open_model", open_model)
    return limpide


def asked(questions: Path, *more: str) -> tuple[str, ...]:
    return ("--task", "my", "--file", str(questions), *more)


@pytest.mark.parametrize(
    ("b", "margin", "code", "verdict"),
    [
        ("same", "0.1", 0, "NOT WORSE"),
        ("half", "0.1", EXIT_WORSE, "WORSE"),
        ("nearly", "0.05", EXIT_UNDECIDED, "UNDECIDED"),
    ],
)
def test_the_verdict_is_printed_and_is_the_exit_code(
    models: Any, questions: Path, b: str, margin: str, code: int, verdict: str
) -> None:
    shown = models("compare", "good", b, *asked(questions, "--margin", margin))
    assert shown.code == code, shown.err
    words = " ".join(shown.out.split())
    assert f"verdict {verdict}: " in words
    assert "registered before B's first item" in words
    found = json.loads(models("compare", "good", b, *asked(questions, "--margin", margin, "--json")).out)
    assert (found["verdict"], found["tasks"][0]["difference"]["items"]) == (verdict, COUNT)
    assert (found["a"], found["b"]) == ("good", b)
    if verdict == "UNDECIDED":
        assert f"{found['tasks'][0]['verdict']['further_items']:,}" in shown.out
    if b == "half":
        assert "no idea" in shown.out
        assert len(found["tasks"][0]["disagreements"]) > 10
        assert "--items" in shown.out


def test_runs_that_were_kept_are_compared_with_the_promise_beside_them(
    models: Any, questions: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    first = models("compare", "good", "half", *asked(questions, "--margin", "0.1", "-o", str(kept), "--json"))
    promised = json.loads((kept / "compare.json").read_text())
    assert (promised["margin"], promised["tasks"], promised["b"]) == (0.1, ["my"], "half")
    started = json.loads((kept / "b" / "my" / "manifest.json").read_text())["started_at"]
    assert promised["registered_at"] <= started
    sides = (str(kept / "a"), str(kept / "b"))
    again = models("compare", *sides, "--margin", "0.1", "--json")
    assert again.code == EXIT_WORSE
    assert json.loads(again.out) == json.loads(first.out)
    assert (
        models("compare", str(kept / "a" / "my"), str(kept / "b" / "my"), "--margin", "0.1", "--json").out == again.out
    )
    other = models("compare", *sides, "--margin", "0.2")
    assert "post hoc" in other.out
    (kept / "compare.json").unlink()
    assert "post hoc" in models("compare", *sides, "--margin", "0.1").out
    without = models("compare", *sides)
    assert without.code == 0
    assert "VERDICT" not in without.out


def test_a_promise_that_comes_after_b_is_post_hoc(models: Any, questions: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    models("compare", "good", "half", *asked(questions, "-o", str(kept)))
    manifest = kept / "b" / "my" / "manifest.json"
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**data, "started_at": "2020-01-01T00:00:00+00:00"}))
    late = models("compare", "good", "half", *asked(questions, "--margin", "0.1", "-o", str(kept), "--resume"))
    assert late.code == EXIT_WORSE, late.err
    assert "post hoc" in late.out


def test_another_margin_for_the_same_folder_is_refused(models: Any, questions: Path, tmp_path: Path) -> None:
    there = ("-o", str(tmp_path / "kept"))
    models("compare", "good", "half", *asked(questions, "--margin", "0.1", *there))
    changed = models("compare", "good", "half", *asked(questions, "--margin", "0.6", "--resume", *there))
    assert changed.code == 2
    assert "margin was 0.1 and is 0.6" in changed.err


def test_what_has_no_pair_is_printed(models: Any, questions: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    models("compare", "good", "same", *asked(questions, "-o", str(kept)))
    records = kept / "b" / "my" / "items.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join(lines[:-1]))
    lost = json.loads(lines[-1])["item"]
    shown = models("compare", str(kept / "a"), str(kept / "b"))
    assert f"- {lost}: B: not asked" in shown.out
    assert str(COUNT - 1) in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("good", "half"), "limpide eval --list"),
        (("good", "half", "--task", "nothing"), "nothing"),
        (("good", "half", "--task", "my", "--margin", "3"), "0.03 is three points"),
        (("good", "half", "--task", "my", "--margin", "nan"), "0.03 is three points"),
        (("good", "half", "--task", "my", "--resume"), "-o FOLDER"),
        (("good",), "limpide compare --help"),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_opened(models: Any, arguments: tuple[str, ...], said: str) -> None:
    shown = models("compare", *arguments)
    assert shown.code == 2
    assert said in shown.err
    assert models.opened == []


def test_a_run_and_a_model_are_no_pair(models: Any, questions: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    models("compare", "good", "half", *asked(questions, "-o", str(kept)))
    shown = models("compare", str(kept / "a"), "half", *asked(questions))
    assert shown.code == 2
    assert "two runs, or two models" in shown.err
    assert (
        "two runs are compared as they are" in models("compare", str(kept / "a"), str(kept / "b"), "--limit", "3").err
    )
    assert "no run of choices" in models("compare", str(kept / "a"), str(kept / "b"), "--task", "choices").err


def test_repeats_shots_and_temperature_are_as_for_eval(models: Any, questions: Path, tmp_path: Path) -> None:
    repeated = ("--limit", "4", "--temperature", "0.7", "--repeats", "3", "--at-once", "3", "-o", str(tmp_path / "r"))
    assert models("compare", "good", "same", *asked(questions, *repeated)).code == 0
    for side in ("a", "b"):
        manifest = json.loads((tmp_path / "r" / side / "my" / "manifest.json").read_text())
        assert (manifest["repeats"], manifest["sampling"]["temperature"]) == (3, 0.7)
    assert [choice.at_once for choice in models.opened] == [3, 3]
    few = ("--task", "choices", "--limit", "4", "--shots", "1", "-o", str(tmp_path / "c"))
    assert models("compare", "good", "same", *few).code == 0
    assert json.loads((tmp_path / "c" / "a" / "choices" / "manifest.json").read_text())["shots"] == 1
    for words in (("--shots", "1"), ("--repeats", "2"), ("--temperature", "1")):
        shown = models("compare", str(tmp_path / "r" / "a"), str(tmp_path / "r" / "b"), *words)
        assert shown.code == 2
        assert "two runs are compared as they are" in shown.err
