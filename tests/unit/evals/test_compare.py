"""Two runs become pairs, a difference and a verdict; what has no pair is told, what can't be compared is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limpide.core.errors import CorruptRun, InvalidParameter, NotComparable, RunMismatch
from limpide.core.evidence import Fingerprint, ItemRecord, RunManifest
from limpide.evals.compare import compare
from limpide.evals.pairing import pair
from limpide.evals.registration import REGISTRATION, Registration, promise, read_registration, register, registration_of
from limpide.evals.run import Run
from limpide.evals.statistics import Verdict

MANIFEST = RunManifest(
    run_id="0" * 32,
    task="my",
    task_version="1",
    task_sha256="a" * 64,
    items=4,
    file=None,
    model="old",
    architecture="llama",
    context=2048,
    backend=Fingerprint("local", "limpide", "fast", "b" * 64, "c" * 64, None),
    thinking="off",
    sampling={"temperature": 0.0},
    seed=0,
    shots=0,
    repeats=1,
    limit=None,
    versions={},
    machine={},
    started_at="2026-05-01T12:00:00+00:00",
)


def record(item: str, score: float | None, **changes: Any) -> ItemRecord:
    made = ItemRecord(
        item=item,
        cluster=item,
        slice="all",
        repeat=0,
        prompt_sha256=f"of {item}",
        answer=f"{score}",
        thinking="",
        tool_calls=(),
        finish="stop",
        score=0.0 if score is None else score,
        detail={},
        prompt_tokens=5,
        cached_tokens=0,
        thinking_tokens=2,
        answer_tokens=3,
        seconds=0.5,
        error=None,
    )
    return replace(made, **({"score": None, "error": "EngineStopped: gone"} if score is None else {}), **changes)


def run(*records: ItemRecord, **changes: Any) -> Run:
    return Run(replace(MANIFEST, **changes), records)


def scored(*scores: float, **changes: Any) -> Run:
    return run(*(record(f"q{number}", score) for number, score in enumerate(scores)), **changes)


def test_items_are_paired_by_id_not_by_place() -> None:
    a = run(record("q0", 1.0), record("q1", 0.0))
    b = run(record("q1", 0.5), record("q0", 1.0), model="new")
    pairs = {each.item: (each.a.score, each.b.score) for each in pair(a, b).pairs}
    assert pairs == {"q0": (1.0, 1.0), "q1": (0.0, 0.5)}
    found = compare([pair(a, b)])
    assert found.tasks[0].difference.difference == pytest.approx(0.25)
    assert [each.item for each in found.tasks[0].disagreements] == ["q1"]
    assert found.verdict is None


def test_what_has_no_pair_is_listed_with_its_reason() -> None:
    a = run(record("q0", 1.0), record("q1", None), record("q2", 1.0))
    b = run(record("q0", 1.0), record("q1", 1.0), record("q3", 1.0))
    paired = pair(a, b)
    assert [each.item for each in paired.pairs] == ["q0"]
    assert paired.unpaired == {"q1": "A: EngineStopped: gone", "q2": "B: not asked", "q3": "A: not asked"}
    assert compare([paired]).as_dict()["tasks"][0]["unpaired"] == paired.unpaired


def test_repeats_are_averaged_and_half_of_them_are_not_enough() -> None:
    answers = [record("q0", 1.0), record("q0", 0.0, repeat=1), record("q1", 1.0)]
    paired = pair(run(*answers, repeats=2), scored(0.0, 0.0))
    assert [each.a.score for each in paired.pairs] == [0.5]
    assert paired.unpaired == {"q1": "A: 1 of 2 repeats answered"}
    assert ("repeats", 2, 1) in paired.differing


def test_passages_are_compared_in_bits_per_byte() -> None:
    detail = {"tokens": 10, "bytes": 50}
    a = run(*(record(f"q{n}", 100.0 + n, finish=None, detail=detail) for n in range(20)))
    b = run(*(record(f"q{n}", 90.0 + n, finish=None, detail=detail) for n in range(20)))
    found = compare([pair(a, b)], margin=0.05).tasks[0]
    assert found.difference.mean_a == pytest.approx(-109.5 / 50 / 0.693147, rel=1e-5)
    assert found.difference.difference == pytest.approx(10 / 50 / 0.693147, rel=1e-5)
    assert found.verdict is not None
    assert found.verdict.verdict is Verdict.NOT_WORSE  # fewer bits are better
    assert compare([pair(b, a)], margin=0.05).verdict is Verdict.WORSE
    assert found.as_dict()["unit"] == "minus bits per byte"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"task": "choices"}, "task"),
        ({"task_version": "2"}, "task_version"),
        ({"seed": 1}, "seed"),
        ({"shots": 5}, "shots"),
        ({"task_sha256": "d" * 64}, "references"),
    ],
)
def test_runs_that_did_not_ask_the_same_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(NotComparable, match=named):
        pair(scored(1.0), scored(1.0, **changes))


def test_a_shorter_run_is_compared_where_the_items_are_the_same() -> None:
    paired = pair(scored(1.0, 1.0), scored(1.0, task_sha256="d" * 64, limit=1, items=1))
    assert (len(paired.pairs), paired.unpaired) == (1, {"q1": "B: not asked"})
    with pytest.raises(NotComparable, match="q0"):
        pair(scored(1.0), run(record("q0", 1.0, prompt_sha256="other"), task_sha256="d" * 64, limit=1))
    with pytest.raises(NotComparable, match="q0"):
        pair(scored(1.0), run(record("q0", 1.0, cluster="other")))


def test_runs_without_a_common_item_are_refused() -> None:
    with pytest.raises(NotComparable, match="no item"):
        pair(run(record("q0", 1.0)), run(record("q1", 1.0)))
    with pytest.raises(NotComparable, match="none"):
        compare([])
    with pytest.raises(NotComparable, match="my, my"):
        compare([pair(scored(1.0), scored(1.0))] * 2)
    with pytest.raises(InvalidParameter, match="margin"):
        compare([pair(scored(1.0), scored(1.0))], margin=1.5)


def test_what_was_asked_differently_is_told_and_the_model_is_not() -> None:
    b = scored(1.0, model="new", thinking="low", sampling={"temperature": 0.7}, machine={"system": "x"})
    assert pair(scored(1.0), b).differing == (("thinking", "off", "low"), ("sampling.temperature", 0.0, 0.7))


def tasks_of(*verdicts: tuple[int, int]) -> list[Any]:
    """One pairing of 400 items for each (gains, losses)."""
    made = []
    for number, (gains, losses) in enumerate(verdicts):
        a = [0.0] * gains + [1.0] * (400 - gains)
        b = [1.0] * gains + [0.0] * losses + [1.0] * (400 - gains - losses)
        made.append(pair(scored(*a, task=f"t{number}"), scored(*b, task=f"t{number}", model="new")))
    return made


GOOD, BAD, OPEN = (10, 5), (0, 60), (20, 24)


def test_one_verdict_over_all_tasks() -> None:
    assert compare(tasks_of(GOOD, GOOD), margin=0.03).verdict is Verdict.NOT_WORSE
    assert compare(tasks_of(GOOD, OPEN), margin=0.03).verdict is Verdict.UNDECIDED
    assert compare(tasks_of(GOOD, OPEN, BAD), margin=0.03).verdict is Verdict.WORSE


def test_p_values_are_adjusted_over_the_tasks() -> None:
    found = compare(tasks_of(BAD, OPEN))
    assert [each.adjusted_p for each in found.tasks] == [2 * found.tasks[0].test.p, found.tasks[1].test.p]
    assert found.tasks[0].test.method == "exact McNemar"


def test_the_record_is_json_and_has_all_that_a_reader_needs() -> None:
    found = json.loads(json.dumps(compare(tasks_of(OPEN), margin=0.03).as_dict(), allow_nan=False))
    task = found["tasks"][0]
    assert found["schema"] == "limpide.comparison/1"
    assert found["verdict"] == task["verdict"]["verdict"] == "UNDECIDED"
    assert found["margin_was"].startswith("post hoc")
    assert task["verdict"]["further_items"] > 0
    assert len(task["disagreements"]) == 44
    assert task["disagreements"][0]["b"]["score"] < task["disagreements"][0]["a"]["score"]
    assert task["tokens_read"] == task["tokens_written"] == {"a": 2000.0, "b": 2000.0}
    assert task["seconds"] == {"a": 200.0, "b": 200.0}


PROMISE = Registration("old", "new", ("t0",), 0.03, 0.05, "2026-05-01T11:59:59+00:00")


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"registered_at": "2026-05-01T12:00:00+00:00"}, True),
        ({"registered_at": "2026-05-01T12:00:01+00:00"}, False),
        ({"registered_at": "2026-05-01T14:00:00+02:00"}, True),
        ({"margin": 0.02}, False),
        ({"alpha": 0.1}, False),
        ({"tasks": ("other",)}, False),
    ],
)
def test_a_margin_counts_as_promised_only_if_it_was(changes: dict[str, Any], kept: bool) -> None:
    found = compare(tasks_of(GOOD), margin=0.03, registrations=[replace(PROMISE, **changes)])
    assert found.registered is kept
    assert found.promise is not None
    assert found.promise.startswith("post hoc") is not kept


def test_a_promise_is_written_once_and_found_from_the_run(tmp_path: Path) -> None:
    made = register(tmp_path, promise("old", "new", ("my",), 0.03, 0.05))
    run_folder = tmp_path / "b" / "my"
    run_folder.mkdir(parents=True)
    assert registration_of(run_folder) == made == read_registration(tmp_path)
    assert register(tmp_path, replace(made, registered_at="2030-01-01T00:00:00+00:00")) == made
    with pytest.raises(RunMismatch, match=r"margin was 0\.03 and is 0\.05"):
        register(tmp_path, replace(made, margin=0.05))
    assert registration_of(tmp_path.parent / "elsewhere") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"schema": "limpide.compare/2"}',
        json.dumps({**PROMISE.as_dict(), "margin": "3 %"}),
        json.dumps({**PROMISE.as_dict(), "more": 1}),
        json.dumps({**PROMISE.as_dict(), "registered_at": "yesterday"}),
        " " * (2 << 20),
    ],
    ids=lambda text: text[:40].strip() or "blank",
)
def test_a_damaged_promise_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / REGISTRATION).write_text(text)
    with pytest.raises(CorruptRun, match=REGISTRATION):
        read_registration(tmp_path)
