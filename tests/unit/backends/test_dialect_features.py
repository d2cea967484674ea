"""Each feature of a dialect is needed: without it the golden conversations go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dialect_families import ADD, ANSWER, CALLS, FAMILIES, THOUGHT, WEATHER, Family, hermes
from test_dialects import ask, called, stream

from limpide.core.events import ToolCallDelta
from limpide.text import ThinkingDialect, ToolDialect, dialect_for, tool_dialect_for
from limpide.text.channels import HARMONY

BY_NAME = {family.name: family for family in FAMILIES}
Patch = pytest.MonkeyPatch
Ask = Callable[[Family], tuple[Any, ...]]


def thinks(family: Family) -> tuple[Any, ...]:
    answer = ask(family, family.answers(ANSWER), "low")
    return (answer.thinking.strip() == THOUGHT, answer.text == ANSWER)


def is_cut(family: Family) -> tuple[Any, ...]:
    answer = ask(family, family.answers(ANSWER), 5)
    return (answer.thinking.strip() == THOUGHT[:5].strip(), answer.text == ANSWER)


def thinks_nothing(family: Family) -> tuple[Any, ...]:
    answer = ask(family, family.answers(ANSWER), "off")
    return (answer.thinking == "", answer.text == ANSWER)


def calls(family: Family) -> tuple[Any, ...]:
    assert family.calls
    answer = ask(family, family.calls(CALLS), "off", [WEATHER, ADD])
    return (called(answer) == list(CALLS), answer.text == "")


@pytest.mark.parametrize(
    ("name", "without", "conversation"),
    [
        ("qwen3", {"close": "</never>"}, thinks),
        ("qwen3", {"forced_close": "\n"}, is_cut),
        ("qwen2.5", {"on_suffix": ""}, thinks),
        ("qwq", {"forced_close": ""}, thinks_nothing),
        ("magistral-2506", {"off_suffix": "<think>\n"}, thinks_nothing),
        ("magistral-2507", {"close": "</think>"}, thinks),
        ("gemma-4", {"close": "</think>"}, thinks),
        ("granite-3.2", {"close": "</think>"}, thinks),
        ("reka", {"turn_ends": ()}, thinks),
        ("reka", {"close": "</think>"}, thinks),
        ("gpt-oss", {"channels": replace(HARMONY, thinking=frozenset())}, thinks),
        ("gpt-oss", {"channels": replace(HARMONY, ends=("<|return|>",), start="<|never|>")}, thinks),
        ("gpt-oss", {"channels": None}, thinks),
        ("gpt-oss", {"forced_close": "<|end|>"}, is_cut),
    ],
)
def test_of_thinking(monkeypatch: Patch, name: str, without: dict[str, Any], conversation: Ask) -> None:
    family = BY_NAME[name]
    assert all(conversation(family))

    def broken(dialect: str) -> ThinkingDialect:
        return replace(dialect_for(dialect), **without)

    monkeypatch.setattr("limpide.backends.fake.dialect_for", broken)
    assert not all(conversation(family))


def test_the_fences_of_an_answer(monkeypatch: Patch) -> None:
    family = replace(BY_NAME["granite-3.3"], answers=lambda text: f"<response>{text}</response>")
    assert all(thinks(family))
    monkeypatch.setattr("limpide.backends.fake.dialect_for", lambda name: replace(dialect_for(name), answer_open=None))
    assert not all(thinks(family))


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("qwen3", {"opens": ("<never>",)}),
        ("qwen3.5", {"quiet": ()}),
        ("deepseek-r1", {"inside": ()}),
        ("llama3", {"quiet": ()}),
        ("llama3", {"begins": ("[{",)}),
        ("magistral-2507", {"opens": ("<never>",)}),
        ("gemma-4", {"inside": ()}),
        ("gpt-oss", {"opens": ("<never>",)}),
        ("granite-3.3", {"opens": ("<tool_call>",)}),
        ("gemma-2", {"opens": ("<never>",)}),
    ],
)
def test_of_tool_calls(monkeypatch: Patch, name: str, without: dict[str, Any]) -> None:
    family = BY_NAME[name]
    assert all(calls(family))

    def broken(dialect: str) -> ToolDialect:
        return replace(tool_dialect_for(dialect), **without)

    monkeypatch.setattr("limpide.backends.fake.tool_dialect_for", broken)
    assert not all(calls(family))


def test_that_arguments_stream(monkeypatch: Patch) -> None:
    def deltas() -> int:
        return sum(isinstance(event, ToolCallDelta) for event in stream(family, hermes(CALLS)))

    family = BY_NAME["qwen3"]
    assert deltas() > 20
    monkeypatch.setattr(
        "limpide.backends.fake.tool_dialect_for", lambda name: replace(tool_dialect_for(name), heads=())
    )
    assert deltas() == 2


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.native], ids=lambda family: family.name)
@pytest.mark.parametrize("other", ["hermes", "qwen-xml", "llama", "mistral", "deepseek", "harmony", "granite", "gemma"])
def test_no_dialect_reads_the_calls_of_another(family: Family, other: str) -> None:
    if other == family.tool_dialect or (other == "llama" and family.tool_dialect in ("mistral", "granite")):
        return  # without their control token, which is hidden where nobody asks for it, those two write bare JSON
    assert not all(calls(replace(family, tool_dialect=other)))
