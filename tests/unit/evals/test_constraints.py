"""Every constraint with answers that keep it and answers that don't."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from limpide.core.results import to_json
from limpide.evals.constraints import CONSTRAINTS

CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("at_most_words", {"count": 3}, ["One, two: three!", "It's well-known."], ["one two three four", "", "..."]),
    ("at_least_words", {"count": 3}, ["one two three", "a b c d"], ["one two", "well-known fact", ""]),
    (
        "sentences",
        {"count": 2},
        ["Yes. No.", 'He said "no." Then he left.', "First! And then"],
        ["Only one.", "One. Two. Three.", "", "Pi is 3.14 exactly."],
    ),
    ("sentences", {"count": 1}, ["Pi is 3.14 exactly.", "no stop at all"], ["Yes. No.", "..."]),
    ("paragraphs", {"count": 2}, ["a\n\nb", "a\nb\n \n\nc\n"], ["a\nb", "a\n\nb\n\nc", ""]),
    ("bullets", {"count": 2}, ["- a\n- b", "List:\n  * a\n  * b\nDone."], ["- a", "- a\n- b\n- c", "-a\n-b", "a - b"]),
    ("numbered", {"count": 2}, ["1. a\n2. b", "So:\n1) a\n2) b"], ["1. a", "1. a\n1. b", "2. a\n3. b", "1.a 2.b"]),
    (
        "json_keys",
        {"keys": ["title", "steps"]},
        ['{"title": "x", "steps": []}', '```json\n{"steps": 1,\n"title": 2}\n```'],
        ['{"title": "x"}', '{"title": 1, "steps": 2, "more": 3}', 'Here: {"title": 1, "steps": 2}', "[]", "[" * 99999],
    ),
    ("include_words", {"words": ["road", "water"]}, ["WATER on the road"], ["roads and water", "the road", ""]),
    ("word_times", {"word": "road", "count": 2}, ["Road to road."], ["road", "road road road", "roads road"]),
    ("avoid_words", {"words": ["very"]}, ["Everything is well."], ["Very well.", "It is very, very late.", ""]),
    ("without_letter", {"letter": "x"}, ["Fine."], ["Next.", "X", ""]),
    ("lower_case", {}, ["all small, 3 times."], ["Not all.", "123"[:0]]),
    ("upper_case", {}, ["ALL LARGE, 3 TIMES."], ["NOT aLL.", ""]),
    ("no_commas", {}, ["Plain words."], ["Well, no.", ""]),
    ("start_with", {"text": "In short,"}, ["In short, yes.", "\nIn short, no."], ["in short, yes.", "Yes. In short,"]),
    ("end_with", {"text": "That is all."}, ["Yes. That is all.\n"], ["That is all. Bye.", "that is all."]),
    ("in_quotes", {}, ['"Yes."', "“Yes.”\n"], ['"Yes."!', 'He said "yes"', '""', "'Yes.'"]),
    ("title", {}, ["<<Eggs>>\nBoil.", " << A title >> and on"], ["<Eggs>", "Eggs <<Eggs>>", "<<>>", "<<\n>>"]),
    ("placeholders", {"count": 2}, ["Dear [name], see [place]."], ["Dear [name].", "[]", "[a\nb] [c]"]),
]


def test_every_constraint_has_its_cases() -> None:
    assert {kind for kind, *_ in CASES} == CONSTRAINTS.keys()


@pytest.mark.parametrize(("kind", "given", "keeping", "breaking"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_kept(kind: str, given: dict[str, Any], keeping: list[str], breaking: list[str]) -> None:
    kept = CONSTRAINTS[kind].kept
    assert [text for text in keeping if not kept(text, given)] == []
    assert [text[:40] for text in breaking if kept(text, given)] == []


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_what_is_drawn_is_plain_and_said(kind: str) -> None:
    constraint = CONSTRAINTS[kind]
    for seed in range(20):
        given = constraint.draw(Random(seed))
        to_json(given)
        said = constraint.ask(given)
        for value in given.values():
            for each in value if isinstance(value, list) else [value]:
                assert str(each) in said or each == 1
