"""A run that is stopped, however rudely, loses nothing that was written, and goes on where it was."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.errors import ChatUnsupported, CorruptRun, DiskFull, InvalidParameter, NotFound, RunInUse, RunMismatch
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking
from limpide.evals.run import Run, RunOptions, evaluate, find_runs
from limpide.evals.run.asking import request_of
from limpide.evals.run.folder import ITEMS, MANIFEST, RunFolder
from limpide.evals.task import TaskOptions
from limpide.evals.tasks import find_task

COUNT = 12


def echo(prompt: str) -> str:
    return prompt.rpartition("say ")[2].removesuffix("<|end|>")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    lines = [{"id": f"q{n}", "prompt": f"Please say word{n}", "reference": f"word{n}"} for n in range(COUNT)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def options(questions: Path, **changes: Any) -> RunOptions:
    return replace(RunOptions(task=TaskOptions(file=questions)), **changes)


def run(questions: Path, folder: Path | None, *, resume: bool = False, told: Any = None, **changes: Any) -> Run:
    backend = FakeBackend(echo, max_batch=2)
    try:
        given = {"told": told} if told else {}
        return evaluate(backend, find_task("my"), options(questions, **changes), folder, resume=resume, **given)
    finally:
        backend.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ITEMS).read_bytes().splitlines()]


def test_a_run_is_what_its_folder_says(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run(questions, folder)
    assert done.complete
    assert [record.score for record in done.records] == [1.0] * COUNT
    assert Run.read(folder) == done
    assert find_runs(tmp_path) == find_runs(folder) == [folder]
    without = run(questions, None)
    assert {r.item: r.answer for r in without.records} == {r.item: r.answer for r in done.records}
    record = done.records[0]
    assert record.answer_tokens > 0
    assert record.prompt_tokens > 0
    assert record.finish == "stop"
    assert done.manifest.backend.tokenizer_sha256


CHILD = """
import sys
from pathlib import Path
from test_run_folder import run
run(Path(sys.argv[1]), Path(sys.argv[2]), told=lambda done, total: (print(done, flush=True), sys.stdin.readline()))
"""


@contextmanager
def child(questions: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs, and waits after every answer for a line from us."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(questions), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        yield process


def test_killed_and_resumed(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with child(questions, folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for expected in range(6):
            assert process.stdout.readline().strip() == str(expected)
            if expected < 5:
                process.stdin.write("\n")
                process.stdin.flush()
        with pytest.raises(RunInUse):
            run(questions, folder, resume=True)
        process.kill()
    assert process.returncode == -9
    assert len(lines(folder)) == 5
    counts: list[int] = []
    done = run(questions, folder, resume=True, told=lambda count, total: counts.append(count))
    assert done.complete
    assert counts == list(range(5, COUNT + 1))
    assert sorted(line["item"] for line in lines(folder)) == sorted(f"q{n}" for n in range(COUNT))


def test_an_interrupt_keeps_what_there_is(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def told(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(questions, folder, told=told)
    assert len(lines(folder)) == 4
    assert run(questions, folder, resume=True).complete
    assert len(lines(folder)) == COUNT


def test_a_torn_last_line_is_asked_again(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(questions, folder)
    whole = (folder / ITEMS).read_bytes()
    (folder / ITEMS).write_bytes(whole[:-10])
    assert len(Run.read(folder).records) == COUNT - 1
    assert run(questions, folder, resume=True).complete
    assert len(lines(folder)) == COUNT


def test_a_full_disk_is_said_and_resumed_from(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, hard))
    try:
        with pytest.raises(DiskFull, match="no room for more records") as caught:
            run(questions, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "--resume" in str(caught.value)
    assert (folder / ITEMS).read_bytes().endswith(b"}\n")
    written = len(lines(folder))
    assert 0 < written < COUNT
    assert run(questions, folder, resume=True).complete
    assert len(lines(folder)) == COUNT


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"thinking": Thinking.parse("low")}, "thinking was 'off' and is 'low'"),
        ({"sampling": Sampling(max_tokens=9)}, "sampling.max_tokens was 512 and is 9"),
        ({"sampling": Sampling(temperature=0.5), "repeats": 2}, "repeats was 1 and is 2"),
    ],
)
def test_other_options_are_refused_by_name(
    questions: Path, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    run(questions, tmp_path / "run")
    with pytest.raises(RunMismatch, match=named):
        run(questions, tmp_path / "run", resume=True, **changes)


def test_another_model_or_other_questions_are_refused_by_name(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(questions, folder)
    other = FakeBackend(echo, template="{{ messages[0].content }}<|assistant|>")
    with pytest.raises(RunMismatch, match=r"backend\.template_sha256"):
        evaluate(other, find_task("my"), options(questions), folder, resume=True)
    other.close()
    questions.write_text(questions.read_text().replace('"reference": "word3"', '"reference": "word4"'))
    with pytest.raises(RunMismatch, match="task_sha256"):
        run(questions, folder, resume=True)


def test_a_run_is_not_written_over(questions: Path, tmp_path: Path) -> None:
    run(questions, tmp_path / "run")
    with pytest.raises(InvalidParameter, match="resume"):
        run(questions, tmp_path / "run")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda text: text.replace('"repeat": 0', '"repeat": "0"', 1), "line 1"),
        (lambda text: text.replace("\n", "\nrubbish\n", 1), "line 2"),
        (lambda text: text.replace('"cluster"', '"claster"', 1), "cluster"),
        (lambda text: text.replace('"score": 1.0', '"score": NaN', 1), "NaN"),
        (lambda text: "[" * 100_000 + "\n" + text, "line 1"),
    ],
)
def test_damaged_records_are_refused_by_line(questions: Path, tmp_path: Path, damage: Any, named: str) -> None:
    folder = tmp_path / "run"
    run(questions, folder)
    text = (folder / ITEMS).read_text()
    assert damage(text) != text
    (folder / ITEMS).write_text(damage(text))
    with pytest.raises(CorruptRun, match=named):
        Run.read(folder)


def test_no_run_and_no_manifest(tmp_path: Path) -> None:
    for read in (Run.read, find_runs):
        with pytest.raises(NotFound):
            read(tmp_path / "nowhere")
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(CorruptRun, match="schema"):
        Run.read(tmp_path)


def test_an_item_that_fails_is_recorded_and_tried_again(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with questions.open("a") as file:
        file.write(json.dumps({"id": "long", "prompt": "x" * 9000 + "say x", "reference": "x"}) + "\n")
    done = run(questions, folder)
    assert not done.complete
    [failed] = [record for record in done.records if record.error]
    assert failed.item == "long"
    assert failed.error is not None
    assert failed.error.startswith("ContextExceeded")
    assert failed.score is None
    assert run(questions, folder, resume=True).records == done.records
    assert [line["item"] for line in lines(folder)].count("long") == 2
    assert len(lines(folder)) == COUNT + 2


def test_what_would_fail_everywhere_is_refused_before_the_first(questions: Path, tmp_path: Path) -> None:
    base = FakeBackend(chat=False)
    with pytest.raises(ChatUnsupported):
        evaluate(base, find_task("my"), options(questions), tmp_path / "run")
    base.close()
    assert not (tmp_path / "run").exists()


def test_each_repeat_has_a_seed_of_its_own(questions: Path) -> None:
    asked = options(questions, sampling=Sampling(temperature=1.0), repeats=3)
    task = find_task("my")
    item, other, *_ = task.items(asked.task)
    seeds = {request_of(each, repeat, task, asked).sampling.seed for each in (item, other) for repeat in range(3)}
    assert len(seeds) == 6
    assert request_of(item, 1, task, asked) == request_of(item, 1, task, asked)
    done = run(questions, None, sampling=Sampling(temperature=1.0), repeats=3)
    assert done.complete
    assert len(done.records) == 3 * COUNT
    with pytest.raises(InvalidParameter, match="repeats"):
        options(questions, repeats=2)


def test_repeats_of_what_has_no_repeats_are_refused(questions: Path) -> None:
    with questions.open("a") as file:
        file.write(json.dumps({"prompt": "a", "choices": ["b", "c"], "answer": 0}) + "\n")
    with pytest.raises(InvalidParameter, match="repeats can't be 2"):
        run(questions, None, sampling=Sampling(temperature=1.0), repeats=2)
    assert run(questions, None).complete


def test_thinking_is_recorded_and_has_room_beside_the_answer(questions: Path) -> None:
    done = run(questions, None, thinking=Thinking.parse(40), sampling=Sampling(max_tokens=20))
    assert done.manifest.thinking == "40"
    assert done.manifest.sampling["max_tokens"] == 60
    for record in done.records:
        assert record.thinking.strip() == "First one thing, then another."
        assert 0 < record.thinking_tokens <= 40
        assert record.score == 1


def test_the_lock_is_given_back_after_an_error(questions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    manifest = run(questions, folder).manifest
    (folder / ITEMS).write_text("rubbish\n")
    for _ in range(2):
        with pytest.raises(CorruptRun), RunFolder(folder, manifest, resume=True):
            pass
