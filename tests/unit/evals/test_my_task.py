"""The user's questions: what is right is graded, what is wrong is named with its line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.errors import InvalidDataset, InvalidParameter
from limpide.evals.matching import contains, same, same_number
from limpide.evals.run import RunOptions, evaluate
from limpide.evals.task import TaskOptions
from limpide.evals.tasks import find_task

GOOD = {"prompt": "Capital of France?", "reference": "Paris"}


def items(tmp_path: Path, *lines: dict[str, Any] | str, check: Path | None = None, limit: int | None = None) -> Any:
    path = tmp_path / "q.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return find_task("my").items(TaskOptions(file=path, check=check, limit=limit))


def scores(tmp_path: Path, reply: str, *lines: dict[str, Any], check: str | None = None) -> list[Any]:
    path = tmp_path / "check.py"
    if check is not None:
        path.write_text(check)
    file = tmp_path / "q.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    backend = FakeBackend(reply)
    options = RunOptions(task=TaskOptions(file=file, check=path if check is not None else None))
    records = evaluate(backend, find_task("my"), options).records
    backend.close()
    by_item = {record.item: record for record in records}
    return [by_item[f"line-{n}"].error or by_item[f"line-{n}"].score for n in range(1, len(lines) + 1)]


def test_every_way_of_grading(tmp_path: Path) -> None:
    assert scores(
        tmp_path,
        "It is **Paris**, 1,200 km away.",
        {"prompt": "p", "reference": "Paris"},
        {"prompt": "p", "reference": "paris", "match": "contains"},
        {"prompt": "p", "reference": ["Lyon", "Paris"], "match": "contains"},
        {"prompt": "p", "reference": "1200", "match": "number"},
        {"prompt": "p", "reference": "200", "match": "number"},
        {"messages": [{"role": "user", "content": "p"}], "system": "s", "regex": r"\d,\d{3} km"},
        {"prompt": "p", "regex": "^Paris"},
    ) == [0, 1, 1, 1, 0, 1, 0]


def test_a_check_of_the_users(tmp_path: Path) -> None:
    check = "def check(answer, item):\n    return len(answer) / item['note']\n"
    lines = [{"prompt": "p", "note": 8}, {"prompt": "p", "note": 4}, {"prompt": "p", "note": 2}, {"prompt": "p"}]
    found = scores(tmp_path, "four", *lines, check=check)
    assert found[:2] == [0.5, 1.0]
    assert "returned 2.0" in found[2]
    assert "KeyError" in found[3]


def test_choices_by_likelihood(tmp_path: Path) -> None:
    lines = [
        {"prompt": "The sea is", "choices": ["blue", "red"], "answer": "blue"},
        {"prompt": "The sea is", "choices": [" red", " blue"], "answer": 0},
    ]
    assert scores(tmp_path, " blue", *lines) == [1, 0]


@pytest.mark.parametrize(
    ("line", "column", "named"),
    [
        ('{"prompt": "p", "reference": }', 30, "not JSON"),
        ('{"prompt": "p", "reference": "a"', 33, "not JSON"),
        ("[1]", 1, r"this is \[1\]"),
        ('{"prompt": "p", "referense": "a"}', 17, "there is no field 'referense'"),
        ('{"prompt": "p", "prompt": "q", "reference": "a"}', 17, "prompt is there twice"),
        ('{"prompt": "p", "reference": NaN}', 30, "NaN"),
        ('{"reference": "a"}', 1, "what to ask"),
        ('{"prompt": "p", "messages": [], "reference": "a"}', 17, "both"),
        ('{"prompt": "p"}', 1, "what to grade by"),
        ('{"prompt": "p", "reference": "a", "regex": "a"}', 35, "both"),
        ('{"prompt": "", "reference": "a"}', 2, "empty"),
        ('{"prompt": 7, "reference": "a"}', 2, "can't be 7"),
        ('{"prompt": "p", "reference": []}', 17, "empty or no text"),
        ('{"prompt": "p", "reference": "a", "match": "fuzzy"}', 35, "fuzzy"),
        ('{"prompt": "p", "reference": "a", "match": "number"}', 17, "no number"),
        ('{"prompt": "p", "regex": "a", "match": "exact"}', 31, "without a reference"),
        ('{"prompt": "p", "regex": "("}', 17, "the expression is wrong"),
        ('{"prompt": "p", "choices": ["a", "b"]}', None, "which choice is right"),
        ('{"prompt": "p", "choices": ["a", "b"], "answer": "c"}', 40, "not among the choices"),
        ('{"prompt": "p", "choices": ["a", "b"], "answer": 2}', 40, "not among the choices"),
        ('{"prompt": "p", "choices": ["a", "b"], "answer": true}', 40, "not among the choices"),
        ('{"prompt": "p", "choices": ["a"], "answer": 0}', 17, "no list of texts"),
        ('{"prompt": "p", "choices": ["a", "a"], "answer": 0}', 17, "the same"),
        ('{"prompt": "p", "choices": ["a", " b"], "answer": 0}', 17, "white space, some"),
        ('{"prompt": "p", "choices": ["a.", "b"], "answer": 0}', 17, "a stop, some"),
        ('{"prompt": "p ", "choices": ["a", "b"], "answer": 0}', 2, "ends with white space"),
        ('{"prompt": "p", "answer": "a", "reference": "a"}', 17, "without choices"),
        ('{"messages": [{"role": "user"}], "reference": "a"}', 2, "no message"),
        ('{"messages": [{"role": "tool", "content": "p"}], "reference": "a"}', 2, "role 'tool'"),
        ('{"messages": [{"role": "assistant", "content": "p"}], "reference": "a"}', 2, "last message"),
        ('{"id": "line-1", "prompt": "p", "reference": "a"}', 2, "another line"),
        ("[" * 100_000, None, "nested"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, line: str, column: int | None, named: str) -> None:
    with pytest.raises(InvalidDataset, match=named) as caught:
        items(tmp_path, GOOD, "", line)
    assert caught.value.line == 3
    assert caught.value.column == column
    assert caught.value.expected


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="no questions"):
        items(tmp_path, "", " ")
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"prompt": "p",\n "reference": "caf\xe9"}')
    with pytest.raises(InvalidDataset, match="not UTF-8") as caught:
        find_task("my").items(TaskOptions(file=path))
    assert (caught.value.line, caught.value.column) == (2, 19)
    with pytest.raises(InvalidDataset, match="can't be read"):
        find_task("my").items(TaskOptions(file=tmp_path / "none"))
    with pytest.raises(InvalidParameter, match="--file"):
        find_task("my").items(TaskOptions())


@pytest.mark.parametrize("source", [None, "x = 1", "def check(:", "raise SystemError('no')"])
def test_checks_that_are_none(tmp_path: Path, source: str | None) -> None:
    path = tmp_path / "check.py"
    if source is not None:
        path.write_text(source)
    with pytest.raises(InvalidParameter, match="a Python file"):
        items(tmp_path, GOOD, check=path)


def test_another_check_is_another_task(tmp_path: Path) -> None:
    path, found = tmp_path / "check.py", []
    for value in (True, False):
        path.write_text(f"def check(answer, item):\n    return {value}\n")
        found.append(items(tmp_path, {"prompt": "p"}, check=path)[0].reference["check_sha256"])
    assert found[0] != found[1]


def test_the_file_is_data_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="no field 'check'"):
        items(tmp_path, {"prompt": "p", "check": "__import__('os').abort()"})


def test_limits_take_the_first(tmp_path: Path) -> None:
    lines = [{**GOOD, "id": name} for name in "abc"]
    assert [item.id for item in items(tmp_path, *lines, limit=2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("Paris.", "paris", (1, 1)),
        ("“Paris”", "Paris", (1, 1)),
        ("in Paris", "Paris", (0, 1)),
        ("Parish", "Paris", (0, 0)),
    ],
)
def test_matching(answer: str, reference: str, expected: tuple[int, int]) -> None:
    assert (same(answer, reference), contains(answer, reference)) == expected


def test_the_last_number_counts() -> None:
    assert same_number("3 and 4 make 7.", "7")
    assert same_number("about -1,234.50 or so", "-1234.5")
    assert not same_number("seven", "7")
    assert not same_number("7 apples and 2 pears", "7")
