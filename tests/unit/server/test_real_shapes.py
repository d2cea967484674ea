"""SmolLM2 held to schemas, expressions and calls over HTTP, the same streamed and whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from scripted_hosts import FakeHost, serving

from limpide.backends.local import LocalBackend

CITY: Any = {
    "type": "object",
    "properties": {"city": {"enum": ["Lyon", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
OTHER: Any = {"type": "object", "properties": {"why": {"enum": ["rain", "sun"]}}, "required": ["why"]}


def tool(name: str, schema: Any, **more: Any) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": schema, **more}}


WEATHER, CANCEL = tool("weather", CITY), tool("cancel", {**OTHER, "additionalProperties": False})
ASKED: Any = [{"role": "user", "content": "What will the weather in Oslo be for three days?"}]


@pytest.fixture(scope="module")
def client(smollm2_path: Path) -> Iterator[openai.OpenAI]:
    host = FakeHost(smollm2=LocalBackend.open(smollm2_path, name="smollm2", context=1024))
    with serving(host) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made
    host.check()


def both(client: openai.OpenAI, **fields: Any) -> tuple[str | None, list[tuple[str, Any]], str]:
    """Text, calls and the reason of the end, which are the same whole and streamed."""
    asked = {"model": "smollm2", "messages": ASKED, "temperature": 0, "max_tokens": 64, **fields}
    whole = client.chat.completions.create(**asked).choices[0]
    text, reason = "", ""
    calls: list[list[str]] = []
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for piece in choice.delta.tool_calls or ():
                if piece.id:
                    calls.append([piece.function.name, ""])
                calls[piece.index][1] += piece.function.arguments or ""
    written = [[call.function.name, call.function.arguments] for call in whole.message.tool_calls or ()]
    assert (text, calls, reason) == (whole.message.content or "", written, whole.finish_reason)
    return text or None, [(name, json.loads(arguments)) for name, arguments in calls], reason


def test_a_schema(client: openai.OpenAI) -> None:
    named = {"name": "city", "schema": CITY, "strict": True}
    text, _, reason = both(client, response_format={"type": "json_schema", "json_schema": named})
    assert reason == "stop"
    found = json.loads(text or "")
    assert found["city"] in ("Lyon", "Oslo")
    assert 1 <= found["days"] <= 9


def test_an_expression(client: openai.OpenAI) -> None:
    text, _, reason = both(client, extra_body={"response_format": {"type": "regex", "pattern": "(rain|sun), [1-9]"}})
    assert reason == "stop"
    assert re.fullmatch("(rain|sun), [1-9]", text or "")
    free, _, _ = both(client, max_tokens=8)
    assert not re.fullmatch("(rain|sun), [1-9]", free or ""), "left to itself it says something else"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"weather", "cancel"}),
        ({"type": "function", "function": {"name": "cancel"}}, {"cancel"}),
    ],
    ids=["required", "named"],
)
def test_calls_that_must_come(client: openai.OpenAI, choice: Any, names: set[str]) -> None:
    text, calls, reason = both(client, tools=[WEATHER, CANCEL], tool_choice=choice, parallel_tool_calls=False)
    assert (text, reason, len(calls)) == (None, "tool_calls", 1)
    [(name, arguments)] = calls
    assert name in names
    if name == "weather":
        assert arguments["city"] in ("Lyon", "Oslo")
        assert 1 <= arguments["days"] <= 9
    else:
        assert arguments["why"] in ("rain", "sun")


def test_a_strict_tool_that_may_be_called(client: openai.OpenAI) -> None:
    strict = tool("weather", CITY, strict=True)
    text, calls, _ = both(client, tools=[strict], parallel_tool_calls=False, max_tokens=24)
    assert text or calls
    for _, arguments in calls:
        assert set(arguments) == {"city", "days"}


def test_none_is_text(client: openai.OpenAI) -> None:
    text, calls, _ = both(client, tools=[WEATHER], tool_choice="none", max_tokens=12)
    assert text
    assert calls == []
