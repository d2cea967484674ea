"""Nothing that the official clients can send is ignored: it is applied, listed in the receipt, or refused by name.

What they can send is read from their own types, so that a new version of theirs with a new field fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

import pytest
from client_types import Kind, walk
from pydantic import BaseModel, TypeAdapter, ValidationError

from limpide.core.receipt import Outcome
from limpide.server.responses.request import read_request
from limpide.server.wire.base import Ask
from limpide.server.wire.chat_request import ChatCompletionRequest, read_chat
from limpide.server.wire.completion_request import CompletionRequest, read_completion
from limpide.server.wire.message_request import MessageRequest, read_message
from limpide.server.wire.responses import ResponseRequest

Json = dict[str, Any]
WALKED = list(walk())
KINDS = [each for each in WALKED if isinstance(each, Kind)]
REFUSALS = {"unsupported_field", "union_tag_invalid", "literal_error"}
"""Errors that say which kind can't be, and what can."""


def test_every_field_that_a_client_knows_is_known() -> None:
    assert [each for each in WALKED if isinstance(each, str)] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.owner.__name__}.{kind.field}-{kind.value}")
def test_a_kind_of_object_that_is_not_taken_is_refused_by_name(kind: Kind) -> None:
    field = adapter(kind.owner, kind.field)
    said = set()
    for value in (kind.value, [kind.value]):
        with pytest.raises(ValidationError) as raised:
            field.validate_python(value)
        said |= {error["type"] for error in raised.value.errors()}
    assert said & REFUSALS


CALL: Json = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL: Json = {"type": "function", "function": {"name": "f"}}
FUNCTION: Json = {"type": "function", "name": "f"}
CUSTOM: Json = {"name": "f", "input_schema": {}}
SCHEMA: Json = {"type": "json_schema", "name": "n", "schema": {}}
SAMPLING: Json = {
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 3,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "logit_bias": {"1": 2},
    "stop": "x",
    "seed": 3,
    "ignore_eos": True,
}
DIAL: Json = {
    "reasoning_effort": "low",
    "reasoning": {"effort": "low"},
    "think": "low",
    "chat_template_kwargs": {"enable_thinking": True},
    "thinking": {"type": "enabled"},
    "thinking_token_budget": 5,
}


def chat(body: Json) -> tuple[Any, Mapping[str, Outcome]]:
    """As an endpoint reads it: what the model is asked, and what the receipt says beside."""
    return read_chat(ChatCompletionRequest.model_validate(body), "off")


def completion(body: Json) -> tuple[Any, Mapping[str, Outcome]]:
    """The same of raw text."""
    asked = CompletionRequest.model_validate(body)
    *read, outcomes = read_completion(asked)
    return (asked.prompts, *read), outcomes


def message(body: Json) -> tuple[Any, Mapping[str, Outcome]]:
    """The same of Anthropic's."""
    return read_message(MessageRequest.model_validate(body), "off")


def response(body: Json) -> tuple[Any, Mapping[str, Outcome]]:
    """The same of a response."""
    question = read_request(ResponseRequest.model_validate(body), new_id=lambda prefix: prefix)
    return question.chat, question.outcomes


HI: Json = {"role": "user", "content": "hi"}
ENDPOINTS: dict[type[Ask], tuple[Callable[[Json], Any], Json, Json, set[str]]] = {
    # schema: reader, the least that can be asked, fields that change what the model is asked, those of the reply's form
    ChatCompletionRequest: (
        chat,
        {"messages": [HI], "tools": [TOOL]},
        {
            **SAMPLING,
            **DIAL,
            "messages": [{**HI, "content": "ho"}],
            "n": 2,
            "max_tokens": 5,
            "max_completion_tokens": 5,
            "logprobs": True,
            "tools": [],
            "tool_choice": "none",
            "parallel_tool_calls": False,
            "response_format": {"type": "json_object"},
        },
        {"model", "stream", "stream_options", "top_logprobs", "modalities"},
    ),
    CompletionRequest: (
        completion,
        {"prompt": "a"},
        {**SAMPLING, "prompt": "b", "n": 2, "best_of": 2, "max_tokens": 5, "logprobs": 1}
        | {"response_format": {"type": "json_object"}},
        {"model", "stream", "stream_options", "echo"},
    ),
    MessageRequest: (
        message,
        {"messages": [HI], "max_tokens": 99, "tools": [CUSTOM]},
        {
            "messages": [{**HI, "content": "ho"}],
            "system": "s",
            "thinking": {"type": "enabled", "budget_tokens": 5},
            "tools": [{**CUSTOM, "name": "g"}],
            "tool_choice": {"type": "any"},
            "output_config": {"effort": "low"},
            "max_tokens": 98,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_k": 3,
            "stop_sequences": ["x"],
            "seed": 3,
            "metadata": {"user_id": "u"},
        },
        {"model", "stream"},
    ),
    ResponseRequest: (
        response,
        {"input": "hi", "tools": [FUNCTION]},
        {name: SAMPLING[name] for name in ("temperature", "top_p", "top_k", "min_p", "seed")}
        | DIAL
        | {
            "input": "ho",
            "instructions": "s",
            "tools": [{**FUNCTION, "name": "g"}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "text": {"format": SCHEMA},
            "max_output_tokens": 5,
            "top_logprobs": 1,
            "include": ["message.output_text.logprobs"],
            "truncation": "auto",
        },
        {"model", "stream", "stream_options", "previous_response_id", "store", "background", "metadata"},
    ),
}
"""The fields of the reply's form are tested where the endpoints are, with what they change there."""
APPLIED = [(schema, name) for schema, (_, _, applied, _) in ENDPOINTS.items() for name in applied]
UNUSED = [(schema, name) for schema in ENDPOINTS for name in schema.UNUSED]


@pytest.mark.parametrize("schema", ENDPOINTS)
def test_every_field_has_its_place_in_this_test(schema: type[Ask]) -> None:
    _, _, applied, form = ENDPOINTS[schema]
    assert {*applied, *form, *schema.UNUSED} == set(schema.model_fields)
    assert not set(schema.UNSUPPORTED) & set(schema.model_fields)


@pytest.mark.parametrize(("schema", "name"), APPLIED, ids=str)
def test_a_field_that_is_applied_changes_something(schema: type[Ask], name: str) -> None:
    read, least, applied, _ = ENDPOINTS[schema]
    assert read({**least, name: applied[name]}) != read(least)


@pytest.mark.parametrize(("schema", "name"), UNUSED, ids=str)
def test_a_field_that_changes_nothing_is_in_the_receipt(schema: type[Ask], name: str) -> None:
    read, least, _, _ = ENDPOINTS[schema]
    asked, outcomes = read({**least, name: some(schema, name)})
    assert (outcomes[name].status, bool(outcomes[name].why)) == ("refused", True)
    assert asked == read(least)[0]


@cache
def adapter(schema: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """What a field takes."""
    return TypeAdapter(get_type_hints(schema, include_extras=True)[name])


def some(schema: type[Ask], name: str) -> Any:
    """A value that a field takes, and that says something."""
    field = adapter(schema, name)
    for value in ("low", "commentary", "x", True, 1, {"x": 1}, ["x"], [{"x": 1}]):
        try:
            field.validate_python(value, strict=True)
        except ValidationError:
            continue
        return value
    raise AssertionError(f"nothing fits {schema.__name__}.{name}")


PLACES: dict[str, tuple[type[Ask], Json]] = {
    # where in a request a schema stands: its endpoint, and what of the request is around it, None in its place
    "SystemMessage": (ChatCompletionRequest, {"messages": [{"role": "system", "content": "s", "*": 0}, HI]}),
    "UserMessage": (ChatCompletionRequest, {"messages": [{**HI, "*": 0}]}),
    "AssistantMessage": (ChatCompletionRequest, {"messages": [{"role": "assistant", "content": "a", "*": 0}, HI]}),
    "ToolMessage": (
        ChatCompletionRequest,
        {
            "messages": [
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "content": "r", "tool_call_id": "c", "*": 0},
            ]
        },
    ),
    "TextPart": (
        ChatCompletionRequest,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "*": 0}]}]},
    ),
    "StreamOptions": (ChatCompletionRequest, {"stream": True, "stream_options": {"*": 0}}),
    "ReasoningField": (ChatCompletionRequest, {"reasoning": {"effort": "low", "*": 0}}),
    "InputText": (
        ResponseRequest,
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a", "*": 0}]}]},
    ),
    "InputMessage": (ResponseRequest, {"input": [{**HI, "*": 0}]}),
    "InputCall": (
        ResponseRequest,
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "*": 0}]},
    ),
    "InputCallOutput": (
        ResponseRequest,
        {
            "input": [
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "r", "*": 0},
            ]
        },
    ),
    "FunctionTool": (ResponseRequest, {"tools": [{**FUNCTION, "*": 0}]}),
    "TextField": (ResponseRequest, {"text": {"*": 0}}),
    "ResponseStreamOptions": (ResponseRequest, {"stream": True, "stream_options": {"*": 0}}),
    "TextBlock": (
        MessageRequest,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "*": 0}]}]},
    ),
    "ToolUseBlock": (
        MessageRequest,
        {
            "messages": [
                HI,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}, "*": 0}]},
                HI,
            ]
        },
    ),
    "ToolResultBlock": (
        MessageRequest,
        {
            "messages": [
                HI,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "*": 0}]},
            ]
        },
    ),
    "CustomTool": (MessageRequest, {"tools": [{**CUSTOM, "*": 0}]}),
    "Metadata": (MessageRequest, {"metadata": {"*": 0}}),
}


def schemas(base: type[Ask] = Ask) -> Iterator[type[Ask]]:
    """All schemas of what clients send."""
    for schema in base.__subclasses__():
        yield schema
        yield from schemas(schema)


NESTED = sorted({(s.__name__, name) for s in schemas() if s.__name__ in PLACES for name in s.UNUSED})


def test_every_schema_with_fields_that_change_nothing_has_its_place_in_this_test() -> None:
    public = {s.__name__ for s in schemas() if s.UNUSED and not s.__name__.startswith("_")}
    assert public - {each.__name__ for each in ENDPOINTS} - {"MessagePrompt", "EmbeddingRequest"} == set(PLACES)


@pytest.mark.parametrize(("place", "name"), NESTED)
def test_what_changes_nothing_deeper_down_is_in_the_receipt_too(place: str, name: str) -> None:
    endpoint, around = PLACES[place]
    [schema] = [each for each in schemas() if each.__name__ == place]
    read, least, _, _ = ENDPOINTS[endpoint]
    _, outcomes = read({**least, **_filled(around, name, some(schema, name))})
    [said] = [path for path in outcomes if path.endswith(f".{name}")]
    assert outcomes[said].status == "refused"
    _, without = read({**least, **_filled(around, None, None)})
    assert said not in without


def _filled(around: Any, name: str | None, value: Any) -> Any:
    """A request with a field in place of its mark."""
    if isinstance(around, list):
        return [_filled(each, name, value) for each in around]
    if not isinstance(around, dict):
        return around
    plain = {key: _filled(each, name, value) for key, each in around.items() if key != "*"}
    return {**plain, name: value} if name and "*" in around else plain
