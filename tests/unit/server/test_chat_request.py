"""A chat completion's body becomes what the models are asked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from limpide.core.errors import EmptyPrompt, InvalidParameter
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling
from limpide.core.shape import Grammar, JsonObject, JsonSchema, Regex, Shape, ToolChoice
from limpide.server.wire.chat_request import ChatCompletionRequest, read_chat

HELLO = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "look", "description": "looks", "parameters": {"type": "object"}}}
STRICT = {"type": "function", "function": {"name": "buy", "strict": True}}


def read(*messages: Any, **fields: Any) -> tuple[ChatRequest, dict[str, Outcome]]:
    return read_chat(ChatCompletionRequest.model_validate({"messages": list(messages) or [HELLO], **fields}), "off")


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({"role": "system", "content": "s"}, Message("system", "s")),
        ({"role": "developer", "content": [{"type": "text", "text": "s"}]}, Message("system", "s")),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            Message("user", "a\nb"),
        ),
        ({"role": "assistant", "content": "a", "reasoning": "r"}, Message("assistant", "a", "r")),
        (
            {"role": "assistant", "content": None, "reasoning": "r", "reasoning_content": "r"},
            Message("assistant", "", "r"),
        ),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, Message("assistant", "no")),
        (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}
                ],
                "refusal": None,
                "audio": None,
                "function_call": None,
                "annotations": [],
            },
            Message("assistant", "", tool_calls=(ToolCall("c1", "f", "{}"),)),
        ),
        (
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "4"}]},
            Message("tool", "4", tool_call_id="c1"),
        ),
    ],
)
def test_messages(wire: dict[str, Any], message: Message) -> None:
    request, _ = read(HELLO, wire)
    assert request.messages == (Message("user", "hello"), message)


@pytest.mark.parametrize(
    "wire",
    [
        {"role": "function", "name": "f", "content": "x"},
        {"role": "user", "content": None},
        {"role": "user", "content": []},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "user", "content": "\ud800"},
        {"role": "assistant"},
        {"role": "assistant", "content": "x", "reasoning": "a", "reasoning_content": "b"},
        {"role": "assistant", "content": "x", "function_call": {"name": "f", "arguments": ""}},
        {"role": "tool", "content": "4"},
    ],
)
def test_messages_that_are_refused(wire: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(HELLO, wire)


def test_nothing_to_answer() -> None:
    with pytest.raises(EmptyPrompt):
        read({"role": "user", "content": " "})


def test_defaults_are_openais_and_the_receipt_says_so() -> None:
    request, outcomes = read()
    assert request.sampling == Sampling(temperature=1.0, top_p=1.0, n=1)
    assert request.tool_choice == ToolChoice()
    assert {name: o.effective for name, o in outcomes.items()} == {"temperature": 1.0, "top_p": 1.0, "n": 1, "think": 0}
    assert all(outcome.requested is None and "default" in (outcome.why or "") for outcome in outcomes.values())


def test_what_is_given_is_no_default() -> None:
    request, outcomes = read(temperature=0, top_p=0.5, n=2, reasoning_effort="low", top_k=None)
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.n) == (0, 0.5, 2)
    assert request.thinking.budget == 256
    assert outcomes == {}


def test_every_parameter_arrives() -> None:
    request, _ = read(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        repetition_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=-0.3,
        logit_bias={"5": -100, "7": 1.5},
        stop=["a", "b"],
        max_completion_tokens=9,
        max_tokens=9,
        seed=3,
        n=2,
        logprobs=True,
        top_logprobs=4,
        ignore_eos=True,
    )
    assert request.sampling == Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        repetition_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=-0.3,
        logit_bias={5: -100, 7: 1.5},
        stop=("a", "b"),
        max_tokens=9,
        seed=3,
        n=2,
        logprobs=4,
        ignore_eos=True,
    )
    assert read(max_tokens=9.0, logit_bias={"5": -100})[0].sampling.max_tokens == 9  # JSON has one kind of numbers
    assert read(stop="x", logprobs=True)[0].sampling.stop == ("x",)
    assert read(logprobs=True)[0].sampling.logprobs == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 1, "max_completion_tokens": 2},
        {"top_logprobs": 1},
        {"stream_options": {"include_usage": True}},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "other"}}, "tools": [TOOL]},
        {"tools": [TOOL, TOOL]},
    ],
)
def test_what_can_not_be_meant_together(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        read(**fields)


def test_fields_without_effect_are_listed_with_the_reason() -> None:
    _, outcomes = read(
        {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}], "name": "ann"},
        user="me",
        metadata={"a": "b"},
        store=False,
        service_tier="auto",
        safety_identifier="s",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        verbosity="low",
        prediction={"type": "content", "content": "x"},
        stream=True,
        stream_options={"include_obfuscation": False},
        reasoning={"summary": "auto"},
    )
    refused = {name for name, outcome in outcomes.items() if outcome.status == "refused" and outcome.why}
    assert refused == {
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "verbosity", "prediction", "stream_options.include_obfuscation", "reasoning.summary", "messages[0].name",
        "messages[0].content[0].cache_control",
    }  # fmt: skip
    assert outcomes["metadata"].requested == {"a": "b"}


def test_tools_and_the_choice() -> None:
    request, _ = read(tools=[TOOL, STRICT], parallel_tool_calls=False)
    assert request.tools == (Tool("look", "looks", {"type": "object"}), Tool("buy"))
    assert request.tool_choice == ToolChoice("auto", None, False, frozenset({"buy"}))
    assert read(tools=[TOOL], tool_choice="required")[0].tool_choice == ToolChoice("required")
    assert read(tools=[TOOL], tool_choice="none")[0].tool_choice == ToolChoice("none")
    named = {"type": "function", "function": {"name": "look"}}
    assert read(tools=[TOOL], tool_choice=named)[0].tool_choice == ToolChoice("required", "look")


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonObject()),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": {"x": 1}}}, JsonSchema({"x": 1}, "a")),
        ({"type": "regex", "pattern": "a+"}, Regex("a+")),
        ({"type": "grammar", "grammar": "start: A"}, Grammar("start: A")),
    ],
)
def test_response_format(form: Any, shape: Shape | None) -> None:
    assert read(response_format=form)[0].shape == shape


def test_a_schema_is_enforced_whatever_strict_says() -> None:
    named = {"name": "a", "schema": {}, "strict": False, "description": "d"}
    _, outcomes = read(response_format={"type": "json_schema", "json_schema": named})
    assert outcomes["response_format.json_schema.strict"].effective is True
    assert outcomes["response_format.json_schema.description"].status == "refused"


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": "1"},
        {"temperature": float("nan")},
        {"temperature": 101},
        {"n": 1.5},
        {"n": True},
        {"stop": [""]},
        {"logit_bias": {"x": 1}},
        {"logit_bias": {"1": 101}},
        {"seed": -1},
        {"modalities": ["audio"]},
        {"audio": {"voice": "x"}},
        {"functions": []},
        {"tools": [{"type": "custom", "custom": {}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": float("inf")}}}]},
        {"metadata": {"x": "\ud800"}},
        {"response_format": {"type": "structural_tag"}},
        {"chat_template_kwargs": {"add_vision_id": True}},
    ],
)
def test_fields_that_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**fields)


def test_nulls_mean_left_out() -> None:
    nothing = dict.fromkeys(("tools", "stop", "temperature", "n", "functions", "audio", "user", "response_format"))
    assert read(**nothing) == read()
