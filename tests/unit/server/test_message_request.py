"""A message's body becomes what the models are asked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from limpide.core.errors import BadRequest, EmptyPrompt, InvalidParameter
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling
from limpide.core.shape import JsonSchema, ToolChoice
from limpide.core.thinking import Thinking
from limpide.server.wire.message_request import MessagePrompt, MessageRequest, read_message, read_prompt

HELLO: dict[str, Any] = {"role": "user", "content": "hello"}
LOOK: dict[str, Any] = {"name": "look", "description": "looks", "input_schema": {"type": "object"}}
BUY: dict[str, Any] = {"type": "custom", "name": "buy", "input_schema": {}, "strict": True}
CALL: dict[str, Any] = {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "Kraków"}}
CALLED: dict[str, Any] = {"role": "assistant", "content": [CALL]}
BILLING = "x-anthropic-billing-header: cc_version=2.1.117.48f; cc_entrypoint=cli; cch={};"


def read(*messages: Any, betas: Any = (), **fields: Any) -> tuple[ChatRequest, dict[str, Outcome]]:
    body = {"max_tokens": 4096, "temperature": 0, "messages": list(messages) or [HELLO], **fields}
    return read_message(MessageRequest.model_validate(body), "off", betas)


def text(content: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **fields}


def result(content: Any = "4", **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": content, **fields}]}


@pytest.mark.parametrize(
    ("turns", "messages"),
    [
        ([{"role": "user", "content": [text("a"), text("b")]}], [Message("user", "a\nb")]),
        ([HELLO, {"role": "user", "content": "again"}], [Message("user", "hello\nagain")]),
        ([HELLO, {"role": "system", "content": [text("s")]}], [Message("user", "hello"), Message("system", "s")]),
        (
            [
                HELLO,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "x"},
                        text("I "),
                        text("look"),
                        {**CALL, "caller": {"type": "direct"}},
                    ],
                },
                {"role": "user", "content": [*result([text("4"), text("5")])["content"], text("so?")]},
            ],
            [
                Message("user", "hello"),
                Message("assistant", "I look", "hm", (ToolCall("c1", "look", '{"at": "Kraków"}'),)),
                Message("tool", "4\n5", tool_call_id="c1"),
                Message("user", "so?"),
            ],
        ),
        (
            [HELLO, CALLED, result(None)],
            [
                Message("user", "hello"),
                Message("assistant", "", tool_calls=(ToolCall("c1", "look", '{"at": "Kraków"}'),)),
                Message("tool", "", tool_call_id="c1"),
            ],
        ),
    ],
)
def test_turns(turns: list[Any], messages: list[Message]) -> None:
    request, _ = read(*turns)
    assert list(request.messages) == messages


def test_a_failed_call_is_told_to_the_model_and_in_the_receipt() -> None:
    request, outcomes = read(HELLO, CALLED, result("no such place", is_error=True))
    assert request.messages[-1].content == "Error: no such place"
    assert outcomes["messages[2].content[0].is_error"].effective == "Error: "
    request, outcomes = read(HELLO, CALLED, result("fine", is_error=False))
    assert request.messages[-1].content == "fine"
    assert outcomes.keys() == {"think"}


@pytest.mark.parametrize(
    "turns",
    [
        [HELLO, {"role": "assistant", "content": "The answer is"}],
        [result()],
        [HELLO, CALLED, {"role": "user", "content": [text("so?"), *result()["content"]]}],
        [HELLO, CALLED, {"role": "user", "content": "so?"}, result()],
    ],
)
def test_turns_in_a_wrong_order(turns: list[Any]) -> None:
    with pytest.raises(BadRequest):
        read(*turns)


def test_nothing_to_answer() -> None:
    with pytest.raises(EmptyPrompt):
        read({"role": "user", "content": " "})


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "image", "source": {"type": "base64"}}, "text only"),
        ({"type": "document", "source": {"type": "text", "data": "x"}}, "text only"),
        ({"type": "redacted_thinking", "data": "x"}, "redacted"),
        ({"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}, "Anthropic's servers"),
        (CALL, "tag"),
        ({"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "image"}]}, "text only"),
        ({"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "tool_reference"}]}, "at once"),
        (text("\ud800"), "half of a character"),
        ({"type": "text", "txt": "x"}, "did you mean text"),
    ],
)
def test_blocks_that_are_refused(block: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        read({"role": "user", "content": [block]})


def test_tools() -> None:
    request, outcomes = read(
        tools=[{**LOOK, "cache_control": {"type": "ephemeral"}, "defer_loading": True}, BUY],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert request.tools == (Tool("look", "looks", {"type": "object"}), Tool("buy", "", {}))
    assert request.tool_choice == ToolChoice("required", None, False, frozenset({"buy"}))
    assert outcomes.keys() == {"think", "tools[0].cache_control", "tools[0].defer_loading"}


@pytest.mark.parametrize(
    ("choice", "read_as"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice("required")),
        ({"type": "tool", "name": "look"}, ToolChoice("required", "look")),
        ({"type": "none"}, ToolChoice("none")),
    ],
)
def test_choices(choice: Any, read_as: ToolChoice) -> None:
    assert read(tools=[LOOK], tool_choice=choice)[0].tool_choice == read_as


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [LOOK, LOOK]},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "look"}},
        {"tools": [LOOK], "tool_choice": {"type": "tool", "name": "buy"}},
        {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        {"thinking": {"type": "enabled", "budget_tokens": 5000}},
    ],
)
def test_what_can_not_be_followed(fields: Any) -> None:
    with pytest.raises(InvalidParameter):
        read(**fields)


@pytest.mark.parametrize("kind", ["web_search_20250305", "bash_20250124", "text_editor_20250728", "mcp_toolset"])
def test_tools_of_anthropics_own_are_refused_by_name(kind: str) -> None:
    with pytest.raises(ValidationError, match=kind):
        read(tools=[{"type": kind, "name": "x"}])


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 4095}}, Thinking(4095)),
        ({"thinking": {"type": "disabled"}}, Thinking.parse("off")),
        ({"thinking": {"type": "adaptive"}}, Thinking.parse("medium")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, Thinking.parse("high")),
        ({"output_config": {"effort": "low"}}, Thinking.parse("low")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 99}, "output_config": {"effort": "max"}},
            Thinking(99, Thinking.parse("max").effort),
        ),
    ],
)
def test_the_dial(fields: Any, thinking: Thinking) -> None:
    request, outcomes = read(**fields)
    assert request.thinking == thinking
    assert outcomes == {}


def test_what_the_dial_does_not_use_is_said() -> None:
    _, outcomes = read(thinking={"type": "disabled"}, output_config={"effort": "high"})
    assert outcomes["output_config.effort"].status == "refused"
    _, outcomes = read(thinking={"type": "adaptive", "display": "summarized"})
    assert outcomes["thinking.display"].status == "refused"
    _, outcomes = read()
    assert outcomes["think"] == Outcome("applied", None, 0, "none was asked for: the server's default")


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "enabled"},
        {"type": "enabled", "budget_tokens": 0},
        {"type": "adaptive", "budget_tokens": 9},
        {"type": "between_tools"},
        {"type": "on"},
    ],
)
def test_no_such_thinking(thinking: Any) -> None:
    with pytest.raises(ValidationError):
        read(thinking=thinking)


def test_sampling_and_form() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    request, outcomes = read(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["a", "b"],
        seed=3,
        max_tokens=7,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert request.sampling == Sampling(temperature=0.5, top_p=0.9, top_k=40, stop=("a", "b"), seed=3, max_tokens=7)
    assert request.shape == JsonSchema(schema)
    assert outcomes.keys() == {"think"}


def test_the_default_temperature_is_anthropics() -> None:
    request, outcomes = read(temperature=None)
    assert request.sampling.temperature == 1.0
    assert "Anthropic's default" in (outcomes["temperature"].why or "")


def test_what_changes_nothing_is_listed() -> None:
    cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    _, outcomes = read(
        {"role": "user", "content": [text("hello", citations=[], **cached)]},
        {"role": "assistant", "content": [{**CALL, **cached}]},
        {"role": "user", "content": [{**result([text("4", **cached)])["content"][0], **cached}]},
        system=[text("s", **cached)],
        tools=[{**LOOK, **cached, "eager_input_streaming": True, "input_examples": [{}], "allowed_callers": []}],
        metadata={"user_id": "me"},
        service_tier="auto",
        context_management={"edits": []},
        betas=["a-2025-01-01,b", "c"],
        **cached,
    )
    assert outcomes.pop("think")
    assert {name for name, outcome in outcomes.items() if outcome.status == "refused" and outcome.why} == {
        "messages[0].content[0].citations",
        "messages[0].content[0].cache_control",
        "messages[1].content[0].cache_control",
        "messages[2].content[0].cache_control",
        "messages[2].content[0].content[0].cache_control",
        "system[0].cache_control",
        "tools[0].cache_control",
        "tools[0].eager_input_streaming",
        "tools[0].input_examples",
        "tools[0].allowed_callers",
        "metadata.user_id",
        "service_tier",
        "context_management",
        "cache_control",
        "anthropic-beta",
    }
    assert outcomes["anthropic-beta"].requested == "a-2025-01-01,b, c"


@pytest.mark.parametrize("field", ["container", "mcp_servers", "output_format", "prompt", "temprature", "stop"])
def test_fields_that_are_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        read(**{field: ["x"]})


def test_max_tokens_is_needed_and_the_model_is_not() -> None:
    with pytest.raises(ValidationError, match="max_tokens"):
        MessageRequest.model_validate({"messages": [HELLO]})
    with pytest.raises(ValidationError, match="max_tokens"):
        read(max_tokens=0)
    assert MessagePrompt.model_validate({"messages": [HELLO]}).model is None


@pytest.mark.parametrize(
    ("system", "left", "place"),
    [
        (f"{BILLING}\nYou code.\nx-anthropic-billing-header: no", "You code.\nx-anthropic-billing-header: no", ""),
        ([text(BILLING), text("You code."), text("Well.")], "You code.\nWell.", "[0].text"),
        ([text(BILLING + "\nYou code."), text("Well.")], "You code.\nWell.", "[0].text"),
        ([text("You code."), text(BILLING)], "You code.", "[1].text"),
    ],
)
def test_a_billing_header_does_not_change_the_prompt(system: Any, left: str, place: str) -> None:
    def with_hash(value: Any, number: str) -> Any:
        if isinstance(value, list):
            return [{**block, "text": block["text"].format(number)} for block in value]
        return value.format(number)

    (one, first), (other, second) = (read(system=with_hash(system, number)) for number in ("eb6c6", "71fea"))
    assert one == other
    assert one.messages[0] == Message("system", left)
    assert first[f"system{place} billing header"].requested == BILLING.format("eb6c6")
    assert second[f"system{place} billing header"].requested == BILLING.format("71fea")


@pytest.mark.parametrize(
    "system", ["You bill.\nx-anthropic-billing-header: 5", "", [text("a x-anthropic-billing-header: b")]]
)
def test_a_system_prompt_that_only_speaks_of_it_stays(system: Any) -> None:
    request, outcomes = read(system=system)
    whole = system if isinstance(system, str) else system[0]["text"]
    assert [m.content for m in request.messages if m.role == "system"] == ([whole] if whole else [])
    assert outcomes.keys() == {"think"}


def test_a_count_has_the_prompt_of_the_message() -> None:
    fields: dict[str, Any] = {"system": "s", "tools": [LOOK], "thinking": {"type": "adaptive"}, "messages": [HELLO]}
    counted, _ = read_prompt(MessagePrompt.model_validate(fields), "off")
    asked, _ = read(HELLO, **{name: value for name, value in fields.items() if name != "messages"})
    assert (counted.messages, counted.tools, counted.thinking) == (asked.messages, asked.tools, asked.thinking)
