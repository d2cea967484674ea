"""A task asked of an endpoint that is not ours, in good and in bad times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limpide.cli.running import run
from strangers import SSE, WHOLE, Answered, chat, stranger

QUESTIONS = [{"id": f"q{n}", "prompt": f"Is {n} a number?", "reference": "yes"} for n in range(12)]


def asked(url: str, folder: Path, *more: str) -> int:
    questions = folder / "questions.jsonl"
    questions.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    to = ("--task", "my", "--file", str(questions), "-o", str(folder / "run"), "--at-once", "2", "--json")
    return run(["eval", f"{url}/v1#m", *to, *more])


def test_an_endpoint_that_dies_leaves_a_run_to_go_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def dies(number: int) -> Answered:
        return (200, SSE, WHOLE) if number <= 5 else (401, {}, b'{"error": {"message": "the key is gone"}}')

    with stranger(chat(dies)) as (url, _):
        assert asked(url, tmp_path) == 2
    assert "the key is gone" in (told := capsys.readouterr().err)
    assert "--resume" in told
    assert "Traceback" not in told
    kept = (tmp_path / "run" / "my" / "items.jsonl").read_text().splitlines()
    assert 4 <= len(kept) <= 5

    with stranger(chat(lambda _: (200, SSE, WHOLE))) as (other, bodies):
        assert asked(other, tmp_path, "--resume") == 2, "another address may be another model"
        assert "engine" in capsys.readouterr().err
        assert not bodies


def test_a_score_of_an_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stranger(chat(lambda _: (200, SSE, WHOLE))) as (url, bodies):
        assert asked(url, tmp_path) == 0
    assert len(bodies) == len(QUESTIONS)
    manifest = json.loads(capsys.readouterr().out)["manifest"]
    assert (manifest["backend"]["kind"], manifest["backend"]["engine"]) == ("http", f"{url}/v1")
    records = [json.loads(line) for line in (tmp_path / "run" / "my" / "items.jsonl").read_text().splitlines()]
    assert [record["score"] for record in records] == [1.0] * len(QUESTIONS)
