"""Which tools a model is offered of those that a request has, and what its calls are named."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import Response
from pydantic import ValidationError

from limpide.core.errors import BadRequest
from limpide.core.events import Finished, ToolCallDelta, Usage
from limpide.core.messages import Tool, ToolCall
from limpide.core.receipt import Receipt
from limpide.core.shape import ToolChoice
from limpide.server.responses.events import ResponseWriter
from limpide.server.responses.frame import frame
from limpide.server.responses.request import Question, read_request
from limpide.server.responses.tools import names_of
from limpide.server.wire.response_tools import Hosted
from limpide.server.wire.responses import ResponseRequest

SCHEMA: Any = {"type": "object", "properties": {"target": {"type": "string"}}}
LOOK: Any = {"type": "function", "name": "look"}
CLOSE: Any = {"type": "function", "name": "close", "description": "Closes one.", "parameters": SCHEMA, "strict": True}
AGENTS: Any = {"type": "namespace", "name": "agents", "description": "Agents below you.", "tools": [CLOSE, LOOK]}
SEARCH: Any = {"type": "web_search", "external_web_access": False}


def asked(**fields: Any) -> ResponseRequest:
    return ResponseRequest.model_validate({"input": "hi", **fields})


def read(**fields: Any) -> Question:
    return read_request(asked(**fields), new_id=lambda prefix: f"{prefix}0")


def test_functions_of_a_namespace_are_offered_under_both_names() -> None:
    chat = read(tools=[LOOK, AGENTS], tool_choice="required").chat
    assert chat.tools == (
        Tool("look", "", {}),
        Tool("agents__close", "Agents below you.\nCloses one.", SCHEMA),
        Tool("agents__look", "Agents below you.", {}),
    )
    assert chat.tool_choice == ToolChoice("required", None, strict=frozenset({"agents__close"}))
    named = read(tools=[LOOK, AGENTS], tool_choice={"type": "function", "name": "agents__look"}).chat
    assert named.tool_choice.name == "agents__look"


def test_a_call_in_a_namespace_is_named_to_the_client_as_it_was_offered_and_back() -> None:
    body = asked(tools=[LOOK, AGENTS])
    chat = read(tools=[LOOK, AGENTS]).chat
    first = frame("resp_1", "m", body, chat, stored=False)
    writer = ResponseWriter(first, lambda prefix: f"{prefix}1", names=names_of(body.tools))
    [*writer.create(), *writer.begin()]
    streamed = [
        *writer.write(ToolCallDelta(0, "c1", "agents__close", "")),
        *writer.write(ToolCallDelta(0, None, None, "{}")),
        *writer.write(ToolCallDelta(1, "c2", "look", "{}")),
        *writer.write(Finished("tool_calls", Usage(1, 0, 0, 1), Receipt({}, "m", None, None, None, "l", "fast", 1))),
    ]
    in_namespace, plain = Response.model_validate(writer.body).output
    assert (in_namespace.name, in_namespace.namespace) == ("close", "agents")  # type: ignore[union-attr]
    assert (plain.name, plain.namespace) == ("look", None)  # type: ignore[union-attr]
    assert streamed[0]["item"]["namespace"] == "agents"
    assert [tool["name"] for tool in writer.body["tools"]] == ["look", "agents"]

    result = {"type": "function_call_output", "call_id": "c1", "output": "closed"}
    again = read(input=[{"role": "user", "content": "hi"}, *writer.body["output"][:1], result])
    assert again.chat.messages[1].tool_calls == (ToolCall("c1", "agents__close", "{}"),)


@pytest.mark.parametrize("kind", Hosted.__args__)  # type: ignore[attr-defined]
def test_a_tool_that_openai_would_run_is_left_out_and_said(kind: str) -> None:
    question = read(tools=[LOOK, {"type": kind, "anything": [1]}])
    assert [tool.name for tool in question.chat.tools] == ["look"]
    assert (question.outcomes["tools[1]"].status, question.outcomes["tools[1]"].requested) == ("refused", kind)
    shown = frame("resp_1", "m", asked(tools=[LOOK, SEARCH]), question.chat, stored=False)["tools"]
    assert [tool["type"] for tool in shown] == ["function"]
    with pytest.raises(BadRequest, match="run on OpenAI's servers"):
        read(tools=[{"type": kind}])


def test_what_changes_nothing_about_a_function_is_said() -> None:
    close = {**CLOSE, "defer_loading": True, "allowed_callers": ["direct"], "output_schema": {}}
    outcomes = read(tools=[{**LOOK, "defer_loading": False}, {**AGENTS, "tools": [close]}]).outcomes
    assert {name for name in outcomes if name.startswith("tools")} == {
        "tools[0].defer_loading",
        "tools[1].tools[0].defer_loading",
        "tools[1].tools[0].allowed_callers",
        "tools[1].tools[0].output_schema",
    }
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}", "caller": {"type": "direct"}}
    message = {"role": "assistant", "content": "hm", "phase": "commentary"}
    assert {"input[0].phase", "input[1].caller"} <= set(read(input=[message, call]).outcomes)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": [{"type": "custom", "name": "patch"}]}, "describe any other as a function"),
        ({"tools": [LOOK, {"type": "local_shell"}]}, "describe any other as a function"),
        ({"tools": [{"name": "look"}]}, "describe any other as a function"),
        ({"tools": [{**AGENTS, "tools": []}]}, "at least 1"),
        ({"tools": [{**AGENTS, "tools": [SEARCH]}]}, "describe any other as a function"),
        ({"tools": [{**LOOK, "async": True}]}, "async is not supported"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "offer only the tools"),
        ({"tool_choice": {"type": "web_search"}}, "is a function"),
    ],
)
def test_what_can_not_be_offered_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": [{**LOOK, "name": "agents__look"}, AGENTS]}, "names that differ"),
        ({"tools": [LOOK, AGENTS], "tool_choice": {"type": "function", "name": "close"}}, "agents__close"),
        ({"tool_choice": "required"}, "no tools"),
        ({"tools": [{**AGENTS, "tools": [{**LOOK, "name": f"{n}"} for n in range(127)]}, AGENTS]}, "at most 128"),
    ],
)
def test_names_must_tell_tools_apart_and_there_may_not_be_too_many(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read(**fields)
