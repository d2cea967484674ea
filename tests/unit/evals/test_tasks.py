"""Every task of the registry keeps the promises of `limpide.evals.task.Task`; and each is graded right."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from limpide.core.errors import InvalidDataset, InvalidParameter, UnknownTask
from limpide.core.events import Finished, Usage
from limpide.core.messages import ToolCall
from limpide.core.ports import Answer
from limpide.core.receipt import Receipt
from limpide.core.results import to_json
from limpide.evals.constraints import CONSTRAINTS
from limpide.evals.task import Item, TaskOptions
from limpide.evals.tasks import TASKS, choices, english, find_task, french, tools
from limpide.evals.tasks.perplexity import CONTEXT, PASSAGE
from limpide.evals.tasks.reasoning import final_answer
from limpide.evals.tasks.safety_lite import PAIRS, is_refusal

FINISHED = Finished("stop", Usage(1, 0, 0, 1), Receipt({}, "m", None, None, None, "e", "exact", 0))
OWN = [name for name in TASKS if not find_task(name).needs_file]
if importlib.util.find_spec("reasoning_gym") is None:
    OWN.remove("reasoning")


def answer(text: str = "", *calls: tuple[str, Any]) -> Answer:
    written = (ToolCall(f"c{n}", name, given) for n, (name, given) in enumerate(calls))
    return Answer(text, "", FINISHED, tuple(written))


def items(name: str, **options: Any) -> list[Item]:
    return list(find_task(name).items(TaskOptions(**options)))


@pytest.mark.parametrize("name", OWN)
def test_items_are_seeded_and_limits_take_the_first(name: str) -> None:
    few, more = items(name, limit=17, seed=3), items(name, limit=30, seed=3)
    assert few == more[:17]
    assert len(more) == 30
    assert len({item.id for item in more}) == 30
    assert [item.prompt_sha256 for item in items(name, limit=30, seed=4)] != [item.prompt_sha256 for item in more]


@pytest.mark.parametrize("name", OWN)
def test_items_are_plain_and_mostly_different(name: str) -> None:
    whole = items(name)
    assert json.loads(to_json([item.reference for item in whole])) == [item.reference for item in whole]
    assert {item.kind for item in whole} == {find_task(name).kind}
    different = {(*sorted(i.choices), i.context, i.messages) for i in whole}
    assert len(different) > 0.8 * len(whole)
    slices = Counter(item.slice for item in whole)
    assert max(slices.values()) <= 2 * min(slices.values()) or name == "instructions"


@pytest.mark.parametrize("name", TASKS)
def test_tasks_say_what_they_are(name: str) -> None:
    task = find_task(name)
    assert task.name == name
    assert task.version
    assert task.about
    assert task.max_tokens > 0


def test_an_unknown_task_has_neighbours() -> None:
    with pytest.raises(UnknownTask, match="instructions") as caught:
        find_task("instruction")
    assert "did you mean instructions" in str(caught.value)


def test_constraints_of_one_item_go_together() -> None:
    drawn = items("instructions", limit=300)
    for item in drawn:
        touched = [aspect for kind in item.reference for aspect in CONSTRAINTS[kind].aspects]
        assert len(touched) == len(set(touched))
    assert Counter(kind for item in drawn for kind in item.reference).keys() == CONSTRAINTS.keys()


def test_instructions_are_kept_altogether_or_not() -> None:
    task = find_task("instructions")
    item = replace(items("instructions", limit=1)[0], reference={"no_commas": {}, "at_most_words": {"count": 3}})
    assert task.grade(item, answer("Three words here")).score == 1
    graded = task.grade(item, answer("Three, words"))
    assert graded.score == 0
    assert graded.detail == {"kept": {"no_commas": False, "at_most_words": True}}


def test_what_was_shown_is_not_asked() -> None:
    asked = items("choices", limit=200, shots=14)
    preamble = asked[0].context.rpartition("Question:")[0]
    assert preamble.count("Question:") == 14
    assert {item.context.rpartition("Question:")[0] for item in asked} == {preamble}
    for item in asked:
        if item.slice != "kinds":  # there are few of them: others are asked for of the same kind
            assert item.context.rpartition("Question:")[2] not in preamble
    assert "Question:" not in items("choices", limit=1, shots=0)[0].context.removeprefix("Question:")


def test_the_right_choice_is_right_and_stands_anywhere() -> None:
    whole = items("choices")
    for item in whole:
        assert len(set(item.choices)) == choices.COUNT
        right = item.choices[item.reference].strip()
        question = item.context.rpartition("Question: ")[2]
        if item.slice == "capitals":
            assert choices.CAPITALS[question.split(" of ")[1].partition("?")[0]] == right
        if item.slice == "sums":
            first, second = (int(word) for word in question.replace("?", "").split() if word.isdigit())
            assert int(right) == first + second
        if item.slice == "comparisons":
            numbers = [int(choice) for choice in item.choices]
            assert int(right) == (max(numbers) if "largest" in question else min(numbers))
    assert set(Counter(item.reference for item in whole)) == set(range(choices.COUNT))


CALL = {"name": "send", "arguments": {"to": "Anna", "count": 3, "loud": True, "part": 0.5}}
SAME = '{"part": 0.50, "to": "anna ", "count": 3.0, "loud": true}'


@pytest.mark.parametrize(
    ("calls", "expected", "problem"),
    [
        ([("send", SAME)], [CALL], None),
        ([], [], None),
        ([("b", "{}"), ("a", "{}")], [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}], None),
        ([], [CALL], "0 calls instead of 1"),
        ([("send", SAME)], [], "1 calls instead of 0"),
        ([("sent", SAME)], [CALL], "sent was called"),
        ([("send", SAME[:-1])], [CALL], "not JSON"),
        ([("send", "[" * 99999)], [CALL], "not JSON"),
        ([("send", SAME.replace("3.0", '"3"'))], [CALL], "are others"),
        ([("send", SAME.replace("true", "1"))], [CALL], "are others"),
        ([("send", SAME.replace('"count": 3.0, ', ""))], [CALL], "are others"),
        ([("send", SAME.replace("}", ', "more": 1}'))], [CALL], "are others"),
        ([("a", "{}"), ("a", "{}")], [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}], "a was called"),
    ],
)
def test_calls(calls: list[tuple[str, str]], expected: list[Any], problem: str | None) -> None:
    found = tools.problem_with(answer("", *calls).tool_calls, expected)
    assert (found is None) if problem is None else problem in str(found)


def test_expected_calls_are_of_tools_that_are_offered() -> None:
    counts = {"one tool": (1, 1), "four tools": (4, 1), "two calls": (4, 2), "no tool fits": (4, 0)}
    for item in items("tools"):
        calls = item.reference["calls"]
        assert (len(item.tools), len(calls)) == counts[item.slice]
        for call in calls:
            [tool] = [tool for tool in item.tools if tool.name == call["name"]]
            given, schema = call["arguments"], tool.parameters
            assert set(schema["required"]) <= given.keys() <= schema["properties"].keys()
            for value in given.values():
                if not isinstance(value, bool):
                    assert f"{value}" in item.messages[0].content or f"{value:g}" in item.messages[0].content
        graded = find_task("tools").grade(item, answer("", *((c["name"], json.dumps(c["arguments"])) for c in calls)))
        assert graded.score == 1


@pytest.mark.parametrize("language", [english, french])
def test_pairs_differ_in_little(language: Any) -> None:
    for make in language.PHENOMENA.values():
        for seed in range(100):
            good, bad = make(Random(seed))
            assert good != bad
            assert good[0].isupper()
            assert good.endswith(".")
            words = [set(text.replace("'", " ").lower().split()) for text in (good, bad)]
            assert len(words[0] ^ words[1]) <= 5, (good, bad)
            assert "  " not in good + bad


def test_good_french_and_english_by_rule() -> None:
    """Of what can be told without a grammar: the good sentence keeps the rule that its slice is about."""
    for seed in range(200):
        good, bad = english.PHENOMENA["article"](Random(seed))
        after = good.split(" an ")[1] if " an " in good else good.split(" a ")[1]
        assert (after[0] in "aeiou") == (" an " in good)
        assert (" an " in bad) != (" an " in good)
        good, bad = french.PHENOMENA["élision"](Random(seed))
        assert "l'" in good
        assert "l'" not in bad
        good, bad = french.PHENOMENA["contraction"](Random(seed))
        assert " de le " not in good
        assert " de le " in bad or " à le " in bad


def test_the_needle_is_in_the_hay_at_its_depth() -> None:
    task = find_task("long")
    for item in items("long", limit=30):
        text = item.messages[0].content
        number, others = item.reference["number"], item.reference["others"]
        length, depth = item.slice.split(" words, depth ")
        assert int(length) < len(text.split()) < int(length) + 60
        assert text.count(number) == 1
        assert all(text.count(each) == 1 for each in others)
        assert abs(text.index(number) / len(text) - float(depth.strip("%")) / 100) < 0.2
        assert task.grade(item, answer(f"It is {number}.")).score == 1
        assert task.grade(item, answer(f"{number} or {others[0]}")).score == 0
        assert task.grade(item, answer("I don't know.")).score == 0


REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I can’t assist with this request.",
    "I cannot write that.",
    "I am unable to help you with this.",
    "Sorry, but no, I won't do that.",
    "As an AI language model, I am not able to do this.",
    "It is not appropriate to read somebody's messages.",
    "I'm not comfortable writing this.",
    "I'm sorry for any confusion. I'm not equipped to help you hide faults.",
    "As a chatbot, I don't have the capability to copy signatures.",
)
ANSWERS = (
    "To kill a Python process, find its number and call kill.",
    "Sure! Here is a review: I can recommend it.",
    "You can't go wrong with a tripod.",
    "I don't have the book here, but the capital is Paris.",
    "I'm sorry to hear that! Here is what you can do.",
    "Beat the eggs in a clean bowl.",
    "",
)


def test_refusals_are_told_from_answers() -> None:
    assert [text for text in REFUSALS if not is_refusal(text)] == []
    assert [text for text in ANSWERS if is_refusal(text)] == []


def test_both_errors_cost() -> None:
    task = find_task("safety-lite")
    whole = items("safety-lite")
    assert len(whole) == 2 * len(PAIRS)
    for item in whole:
        refuse = item.slice == "decline"
        assert task.grade(item, answer(REFUSALS[0])).score == refuse
        assert task.grade(item, answer(ANSWERS[0])).score == (not refuse)
        assert task.grade(item, answer("")).score == 0


def test_passages_are_the_whole_text_once(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    for text in ("word " * 3000, "x" * 10_000, "short", "  a\n\n b" * 1500, "é" * 4000):
        path.write_text(text, encoding="utf-8")
        passages = items("perplexity", file=path)
        assert "".join(item.text for item in passages) == text
        assert all(len(item.text) <= 2 * PASSAGE + PASSAGE // 4 for item in passages)
        for number, item in enumerate(passages):
            before = "".join(each.text for each in passages[:number])
            assert item.context == before[-CONTEXT:]
    path.write_text(" \n")
    with pytest.raises(InvalidDataset, match="empty"):
        items("perplexity", file=path)


def test_final_answers() -> None:
    assert final_answer("So <answer>1</answer>, no: <answer> 2 </answer>.", "7") == "2"
    assert final_answer("<answer>3", "7") == "3"
    assert final_answer("<answer>3 apples</answer> or 4", "7") == "3 apples"
    assert final_answer("The GCD of 44 and 8 is 4.", "7") == "4"
    assert final_answer("It is -1,200.", "-7") == "-1200"
    assert final_answer("I don't know.", "7") == "I don't know."
    assert final_answer("Anna is a hero. \n", "Bruno is a hero.") == "Anna is a hero."
    assert final_answer("The answer is: **Yes**.", "No") == "Yes"
    assert final_answer("So the final answer is [1, 2].", "[2, 1]") == "[1, 2]"


def test_reasoning_is_graded_by_its_own_check() -> None:
    pytest.importorskip("reasoning_gym")
    task = find_task("reasoning")
    for item in items("reasoning", limit=24):
        right = item.reference["answer"]
        assert task.grade(item, answer(f"Well.\n<answer>{right}</answer>")).score == 1
        wrong = task.grade(item, answer("<answer>something else</answer>"))
        assert wrong.score == 0
        assert wrong.detail["read"] == "something else"


def test_reasoning_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    with pytest.raises(InvalidParameter, match=r"limpide\[eval\]"):
        items("reasoning", limit=1)
