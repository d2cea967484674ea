"""What is scored by likelihood is scored all together, and no item spoils it for the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.errors import EndpointFailed, EndpointRefused, LimpideError
from limpide.core.evidence import Fingerprint
from limpide.core.ports import Scored, ScoreRequest, Scores
from limpide.core.scoring import ScoringWork
from limpide.evals.run import Run, RunOptions, evaluate
from limpide.evals.score_cache import ScoreCache
from limpide.evals.task import TaskOptions
from limpide.evals.tasks import find_task

COUNT = 8


class Watched(FakeBackend):
    """Remembers what it is asked to score; knows its weights; fails at a context, as an endpoint does, if told to."""

    def __init__(self, fails: tuple[str, LimpideError] | None = None, **options: Any) -> None:
        super().__init__(" yes", **options)
        self.asked: list[int] = []
        self.fails = fails

    def fingerprint(self) -> Fingerprint:
        return replace(super().fingerprint(), weights_sha256="a" * 64)

    def score_all(self, requests: Sequence[ScoreRequest]) -> Scores:
        scores = super().score_all(requests)
        self.asked.append(len(requests))
        return Failing(scores, requests, self.fails) if self.fails else scores


class Failing:
    def __init__(self, scores: Scores, requests: Sequence[ScoreRequest], fails: tuple[str, LimpideError]) -> None:
        self.scores, self.requests, self.fails = scores, requests, fails
        self.work = scores.work

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        where, error = self.fails
        for index, scored in sorted(self.scores):
            if self.requests[index].context == where:
                raise error
            yield index, scored


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    lines = [
        {"id": f"q{n}", "prompt": f"Is {n} a number?", "choices": ["yes", "no"], "answer": n % 2} for n in range(COUNT)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(backend: FakeBackend, questions: Path, folder: Path | None = None, **more: Any) -> Run:
    try:
        return evaluate(backend, find_task("my"), RunOptions(TaskOptions(file=questions)), folder, **more)
    finally:
        backend.close()


def by_item(run: Run) -> dict[str, Any]:
    return {record.item: (record.score, record.answer, record.error) for record in run.records}


def test_all_are_scored_in_one_go_and_as_each_by_itself(questions: Path) -> None:
    works: list[tuple[ScoringWork, int]] = []
    backend = Watched()
    done = run(backend, questions, worked=lambda work, known: works.append((work, known)))
    assert backend.asked == [2 * COUNT]
    [(work, known)] = works
    assert (work.requests, known) == (2 * COUNT, 0)
    assert work.unique_tokens < work.tokens
    assert done.complete
    alone = FakeBackend(" yes")
    for record in done.records:
        context = f"Is {record.item[1:]} a number?"
        expected = alone.score(context, [" yes", " no"])
        assert record.detail["logprobs"] == pytest.approx([each.total for each in expected])
        assert record.score == float(int(record.item[1:]) % 2 == 0)
    alone.close()


def test_what_is_too_long_has_its_error_and_the_others_are_still_scored_together(questions: Path) -> None:
    expected = by_item(run(Watched(), questions))
    with questions.open("a") as file:
        file.write(json.dumps({"id": "long", "prompt": "x" * 9000, "choices": ["yes", "no"], "answer": 0}) + "\n")
    backend = Watched()
    found = by_item(run(backend, questions))
    assert found.pop("long")[2].startswith("ContextExceeded")
    assert found == expected
    assert backend.asked[-1] == 2 * COUNT


def test_an_endpoint_that_refuses_one_item_is_asked_for_the_others(questions: Path) -> None:
    expected = by_item(run(Watched(), questions))
    found = by_item(run(Watched(("Is 3 a number?", EndpointRefused("too long"))), questions))
    assert found.pop("q3")[2] == "EndpointRefused: too long"
    del expected["q3"]
    assert found == expected


@pytest.mark.parametrize("error", [EndpointFailed("gone"), EndpointRefused("no such key", status=401)])
def test_an_endpoint_that_is_gone_ends_the_run_which_goes_on_later(
    questions: Path, tmp_path: Path, error: LimpideError
) -> None:
    with pytest.raises(type(error)):
        run(Watched(("Is 3 a number?", error)), questions, tmp_path / "run")
    assert [record.item for record in Run.read(tmp_path / "run").records] == ["q0", "q1", "q2"]
    backend = Watched()
    assert run(backend, questions, tmp_path / "run", resume=True).complete
    assert backend.asked == [2 * (COUNT - 3)]


def test_an_interrupt_keeps_every_item_that_was_told(questions: Path, tmp_path: Path) -> None:
    def told(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Watched(), questions, tmp_path / "run", told=told)
    assert len(Run.read(tmp_path / "run").records) == 3
    assert run(Watched(), questions, tmp_path / "run", resume=True).complete


def test_what_another_run_scored_is_not_computed_again(questions: Path, tmp_path: Path) -> None:
    works: list[tuple[int, int]] = []

    def cached() -> Run:
        cache = ScoreCache(tmp_path / "scores.sqlite")
        try:
            return run(
                Watched(),
                questions,
                cache=cache,
                worked=lambda work, known: works.append((work.unique_tokens > 0, known)),
            )
        finally:
            cache.close()

    first = cached()
    assert by_item(cached()) == by_item(first) == by_item(run(Watched(), questions))
    assert works == [(True, 0), (False, 2 * COUNT)]


def test_what_was_scored_before_an_interrupt_is_known_afterwards(questions: Path, tmp_path: Path) -> None:
    known: list[int] = []
    cache = ScoreCache(tmp_path / "scores.sqlite")

    def told(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Watched(), questions, cache=cache, told=told)
    run(Watched(), questions, cache=cache, worked=lambda work, found: known.append(found))
    cache.close()
    assert known[0] >= 2 * 3
