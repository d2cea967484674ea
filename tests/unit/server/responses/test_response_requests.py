"""What a request of the Responses API asks of a model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from limpide.core.errors import BadRequest, EmptyPrompt
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.shape import JsonObject, JsonSchema, ToolChoice
from limpide.core.thinking import Thinking
from limpide.server.responses.frame import frame
from limpide.server.responses.request import Question, read_request
from limpide.server.wire.responses import ResponseRequest

CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Lyon"}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


def read(input_: Any = "hi", *, earlier: Any = (), **fields: Any) -> Question:
    body = ResponseRequest.model_validate({"input": input_, **fields})
    return read_request(body, earlier=earlier, new_id=lambda prefix: f"{prefix}0")


def test_a_string_is_a_users_turn() -> None:
    question = read("hi", instructions="be brief")
    assert question.chat.messages == (Message("system", "be brief"), Message("user", "hi"))
    part = {"type": "input_text", "text": "hi"}
    assert question.items == [{"id": "msg_0", "type": "message", "role": "user", "content": [part]}]


def test_thinking_words_and_calls_of_one_answer_are_one_turn() -> None:
    items = [
        {"role": "developer", "content": "rules"},
        {"role": "user", "content": [{"type": "input_text", "text": "we"}, {"type": "input_text", "text": "ather?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "look"}]},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "One moment.", "annotations": [], "logprobs": []}],
        },
        CALL,
        {**CALL, "call_id": "c2"},
        RESULT,
        {**RESULT, "call_id": "c2", "output": [{"type": "input_text", "text": "rain"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "both"}]},
        {"role": "assistant", "content": "Sun and rain."},
        {"role": "assistant", "content": "That is all."},
        {"role": "user", "content": "thanks"},
    ]
    calls = tuple(ToolCall(c, "weather", '{"city": "Lyon"}') for c in ("c1", "c2"))
    assert read(items).chat.messages == (
        Message("system", "rules"),
        Message("user", "weather?"),
        Message("assistant", "One moment.", "look", calls),
        Message("tool", "sunny", tool_call_id="c1"),
        Message("tool", "rain", tool_call_id="c2"),
        Message("assistant", "Sun and rain.", "both"),
        Message("assistant", "That is all."),
        Message("user", "thanks"),
    )


def test_what_came_before_stands_before() -> None:
    first = read([{"role": "user", "content": "weather?"}, CALL])
    again = read([RESULT], earlier=first.items, instructions="new rules")
    assert [m.role for m in again.chat.messages] == ["system", "user", "assistant", "tool"]
    assert again.items == [{"id": "fco_0", **RESULT}], "only the new input is this response's"


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(BadRequest, match="which nothing before it called"):
        read([RESULT])


def test_nothing_asked_is_refused() -> None:
    for input_ in ("", " ", []):
        with pytest.raises(EmptyPrompt):
            read(input_)


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, ToolChoice("auto", None, True, frozenset({"weather"}))),
        ({"tool_choice": "none"}, ToolChoice("none", None, True, frozenset({"weather"}))),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            ToolChoice("required", None, False, frozenset({"weather"})),
        ),
        (
            {"tool_choice": {"type": "function", "name": "weather"}},
            ToolChoice("required", "weather", True, frozenset({"weather"})),
        ),
    ],
)
def test_tools(fields: dict[str, Any], choice: ToolChoice) -> None:
    chat = read(tools=[TOOL], **fields).chat
    assert chat.tools == (Tool("weather", "", {"type": "object"}),)
    assert chat.tool_choice == choice


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "other"}])
def test_a_choice_without_its_tool_is_refused(choice: Any) -> None:
    with pytest.raises(BadRequest, match="tool_choice"):
        read(tools=[TOOL] if choice != "required" else [], tool_choice=choice)


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonObject()),
        ({"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, JsonSchema(SCHEMA, "n")),
    ],
)
def test_forms(form: dict[str, Any], shape: Any) -> None:
    body = ResponseRequest.model_validate({"input": "hi", "text": {"format": form}})
    chat = read(text={"format": form}).chat
    assert chat.shape == shape
    assert frame("resp_1", "m", body, chat, stored=True)["text"] == {"format": form}


@pytest.mark.parametrize(
    ("effort", "dial"),
    [("none", "off"), ("minimal", "minimal"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "max")],
)
def test_the_dial(effort: str, dial: str) -> None:
    body = ResponseRequest.model_validate({"input": "hi", "reasoning": {"effort": effort}})
    chat = read(reasoning={"effort": effort}).chat
    assert chat.thinking == Thinking.parse(dial)
    assert frame("resp_1", "m", body, chat, stored=True)["reasoning"]["effort"] == effort


def test_sampling() -> None:
    sampling = read(temperature=0.7, top_p=0.9, max_output_tokens=17, top_logprobs=3).chat.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.logprobs) == (0.7, 0.9, 17, 3)
    assert read(include=["message.output_text.logprobs"]).chat.sampling.logprobs == 0
    assert read().chat.sampling.logprobs is None
    for wrong in ({"temperature": -1}, {"top_p": 2.0}, {"max_output_tokens": 0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            read(**wrong)


def test_what_is_not_applied_is_said() -> None:
    asked = {
        "truncation": "auto",
        "reasoning": {"summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": False}},
        "include": ["reasoning.encrypted_content"],
        "user": "u",
        "service_tier": "flex",
        "stream_options": {"include_obfuscation": False},
    }
    outcomes = read(**asked, temperature=1.0, top_p=1.0, think="off").outcomes
    refused = {name for name, outcome in outcomes.items() if outcome.status == "refused"}
    assert refused == {
        "truncation",
        "reasoning.summary",
        "text.verbosity",
        "include reasoning.encrypted_content",
        "user",
        "service_tier",
        "stream_options.include_obfuscation",
    }
    assert set(outcomes) - refused == {"text.format.strict"}
    assert all(outcome.why for outcome in outcomes.values())
    assert outcomes["truncation"].effective == "disabled"


def test_defaults_that_nobody_asked_for_are_said() -> None:
    outcomes = read().outcomes
    assert {name: outcome.effective for name, outcome in outcomes.items()} == {
        "temperature": 1.0,
        "top_p": 1.0,
        "think": 0,
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": [{"type": "item_reference", "id": "x"}]}, "an item's type is message"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "text only"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"input": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]}, "encrypted_content"),
        ({"input": 5}, "input"),
    ],
)
def test_what_can_not_be_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ResponseRequest.model_validate({"input": "hi", **fields})


def test_an_include_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadRequest, match="include can't be"):
        read(include=["file_search_call.results"])
