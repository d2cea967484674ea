"""Shapes and tools through the endpoints, streamed and whole, over scripted models that would say something else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from limpide.server.limits import MAX_SCHEMA_NODES

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
CHATTER = 'Sure! <tool_call>{"name": "book", "arguments": {}}</tool_call> { "city": '
THOUGHT = 'Maybe {"city": 1}, or <tool_call>{"name": "book", "arguments": {}}</tool_call>? '
CITY: Any = {
    "type": "object",
    "properties": {"city": {"enum": ["Łódź", "Paris"]}, "people": {"type": "integer", "minimum": 1, "maximum": 99}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
CANCEL: Any = {"type": "object", "properties": {}, "additionalProperties": False}
BOOK: Any = {"type": "function", "function": {"name": "book", "parameters": CITY}}
TOOLS: Any = [BOOK, {"type": "function", "function": {"name": "cancel", "parameters": CANCEL}}]
STRICT: Any = [{"type": "function", "function": {**BOOK["function"], "strict": True}}]
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
SHAPES: list[tuple[dict[str, Any], str]] = [
    (SCHEMA, r'\{"city": ?"(Łódź|Paris)", ?"people": ?[1-9][0-9]?\}'),
    ({"type": "regex", "pattern": "(yes|no)(, [a-z]{3}){2}"}, "(yes|no)(, [a-z]{3}){2}"),
    ({"type": "grammar", "grammar": 'start: N ("+" N)~1..2\nN: /[0-9]{1,3}/'}, r"\d{1,3}(\+\d{1,3}){1,2}"),
]
HELLO: Any = [{"role": "user", "content": "hello"}]
NEVER = {"not": {}}
"""A schema that can't be enforced."""
Serve = Callable[..., httpx.Client]


def hello(**fields: Any) -> dict[str, Any]:
    return {"messages": HELLO, "seed": 5, "max_tokens": 3000, **fields}


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def folded(chunks: Iterator[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What a client makes of a stream: each choice's text, thinking, calls, log-probabilities and end."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for piece in chunk["choices"]:
            made = choices.setdefault(
                piece["index"], {"content": "", "reasoning": "", "calls": [], "tokens": [], "finish_reason": None}
            )
            delta = piece["delta"]
            made["content"] += delta.get("content") or ""
            made["reasoning"] += delta.get("reasoning") or ""
            made["finish_reason"] = piece["finish_reason"] or made["finish_reason"]
            made["tokens"] += (piece["logprobs"] or {}).get("content") or []
            for call in delta.get("tool_calls", ()):
                if "id" in call:
                    assert call["index"] == len(made["calls"])
                    assert call["type"] == "function"
                    made["calls"].append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
                else:
                    assert "name" not in call["function"]
                made["calls"][call["index"]]["arguments"] += call["function"]["arguments"]
    return choices


def both_ways(client: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    """The choices of a chat completion, which are the same whether streamed or whole."""
    answer = client.post(CHAT, json=hello(**fields))
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    with client.stream("POST", CHAT, json=hello(**fields, stream=True)) as response:
        streamed = folded(events(response))
    choices = []
    for choice in whole["choices"]:
        message = choice["message"]
        calls = [{"id": c["id"], **c["function"]} for c in message.get("tool_calls", ())]
        made = {
            "content": message["content"] or "",
            "reasoning": message.get("reasoning", ""),
            "calls": calls,
            "tokens": (choice["logprobs"] or {}).get("content") or [],
            "finish_reason": choice["finish_reason"],
        }
        assert streamed[choice["index"]] == made
        choices.append({**made, "receipt": whole["limpide"]["receipt"]["parameters"]})
    return choices


@pytest.fixture
def client(fake_host: Any, serve: Serve) -> httpx.Client:
    return serve(fake_host(CHATTER, thinking=THOUGHT))


@pytest.mark.parametrize("think", ["off", "low", 7])
@pytest.mark.parametrize(("form", "pattern"), SHAPES, ids=lambda each: each["type"] if isinstance(each, dict) else "")
def test_a_shape_binds_the_answer_and_never_the_thinking(
    client: httpx.Client, form: dict[str, Any], pattern: str, think: Any
) -> None:
    [choice] = both_ways(client, response_format=form, think=think, temperature=1.0)
    assert re.fullmatch(pattern, choice["content"], re.DOTALL)
    assert (choice["finish_reason"], choice["calls"]) == ("stop", [])
    assert choice["reasoning"] == {"off": "", "low": THOUGHT, 7: THOUGHT[:7]}[think]
    assert choice["receipt"]["shape"]["status"] == "applied"


def test_any_object(fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host('{"a": [1, {"b": null}]} is what you asked for.', thinking=THOUGHT))
    [choice] = both_ways(client, response_format={"type": "json_object"}, think="low", temperature=0)
    assert (choice["content"], choice["reasoning"]) == ('{"a": [1, {"b": null}]}', THOUGHT)
    form = {"format": {"type": "json_object"}}
    *_, message = responded(client, text=form, think="low", temperature=0)
    assert message["content"][0]["text"] == choice["content"]


def test_without_a_shape_the_model_says_something_else(client: httpx.Client) -> None:
    [choice] = both_ways(client, temperature=0)
    assert choice["content"] == CHATTER


def test_a_shape_with_logprobs_choices_and_limits(client: httpx.Client) -> None:
    form = {"response_format": SCHEMA, "temperature": 1.0}
    three = both_ways(client, **form, n=3, logprobs=True, top_logprobs=2)
    for choice in three:
        assert CITY["required"] == list(json.loads(choice["content"]))
        assert b"".join(bytes(token["bytes"]) for token in choice["tokens"]).decode() == choice["content"]
        assert {len(token["top_logprobs"]) for token in choice["tokens"]} == {2}
    assert len({choice["content"] for choice in three}) > 1
    [stopped] = both_ways(client, **form, stop=[","])
    assert re.fullmatch(r'\{"city": ?"(Łódź|Paris)"', stopped["content"])
    assert (stopped["finish_reason"], stopped["receipt"]["shape"]["status"]) == ("stop", "clamped")
    [short] = both_ways(client, **form, max_tokens=5)
    assert (short["finish_reason"], short["receipt"]["shape"]["status"]) == ("length", "clamped")


@pytest.mark.parametrize("think", ["off", "low"])
@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"book", "cancel"}),
        ({"type": "function", "function": {"name": "book"}}, {"book"}),
        ({"type": "function", "function": {"name": "cancel"}}, {"cancel"}),
    ],
    ids=str,
)
def test_calls_that_must_come(client: httpx.Client, choice: Any, names: set[str], think: str) -> None:
    [made] = both_ways(client, tools=TOOLS, tool_choice=choice, think=think, temperature=1.0)
    assert made["calls"]
    assert made["content"] == ""
    assert made["finish_reason"] == "tool_calls"
    assert made["reasoning"] == (THOUGHT if think == "low" else "")
    assert len({call["id"] for call in made["calls"]}) == len(made["calls"])
    for call in made["calls"]:
        assert call["name"] in names
        arguments = json.loads(call["arguments"])
        assert list(arguments) == (CITY["required"] if call["name"] == "book" else [])
    [single] = both_ways(client, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, temperature=1.0)
    assert len(single["calls"]) == 1


def test_calls_that_may_come(fake_host: Any, serve: Serve) -> None:
    call = '<tool_call>{"name": "book", "arguments": {"city": "Rome", "people": 500}}</tool_call>'
    client = serve(fake_host(f"One moment. {call}\n{call}", thinking=THOUGHT))
    [free] = both_ways(client, tools=TOOLS, think="low", temperature=0)
    assert [json.loads(made["arguments"]) for made in free["calls"]] == [{"city": "Rome", "people": 500}] * 2
    assert (free["content"].strip(), free["reasoning"]) == ("One moment.", THOUGHT)
    assert free["finish_reason"] == "tool_calls"
    [strict] = both_ways(client, tools=STRICT, parallel_tool_calls=False, temperature=0)
    [made] = strict["calls"]
    assert json.loads(made["arguments"])["city"] in ("Łódź", "Paris")
    [none] = both_ways(client, tools=TOOLS, tool_choice="none", temperature=0)
    assert none["calls"] == []
    assert "<tool_call>" not in none["content"]
    assert none["finish_reason"] == "stop"


def test_arguments_come_as_they_are_written(fake_host: Any, serve: Serve) -> None:
    arguments = '{"city": "' + "x" * 40 + '", "people": 3}'
    client = serve(fake_host(f'<tool_call>{{"name": "book", "arguments": {arguments}}}</tool_call>'))
    with client.stream("POST", CHAT, json=hello(tools=TOOLS, temperature=0, stream=True)) as response:
        deltas = [c["choices"][0]["delta"] for c in events(response) if c["choices"]]
    pieces = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert "".join(pieces) == arguments
    assert len(pieces) > 30
    assert [len(delta["tool_calls"]) for delta in deltas if "tool_calls" in delta] == [1] * len(pieces)


def test_the_official_clients_helpers(fake_host: Any, serve: Serve) -> None:
    """Its parser of streams, which wants names once and arguments in pieces, and its `parse` of whole answers."""
    url = serve(fake_host(CHATTER, thinking=THOUGHT)).base_url
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    asked: Any = {"model": "fake", "messages": HELLO, "seed": 5, "max_tokens": 3000}
    with client.chat.completions.stream(**asked, tools=STRICT, tool_choice="required") as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [event.arguments for event in done] == [call.function.arguments for call in calls]
    assert [event.parsed_arguments for event in done] == [json.loads(call.function.arguments) for call in calls]
    whole = client.chat.completions.parse(**asked, response_format=SCHEMA)
    assert json.loads(whole.choices[0].message.content or "")["city"] in ("Łódź", "Paris")


@pytest.mark.parametrize(("form", "pattern"), SHAPES, ids=str)
def test_raw_text_in_a_shape(client: httpx.Client, form: dict[str, Any], pattern: str) -> None:
    body = {"prompt": ["Well", "So"], "response_format": form, "seed": 5, "max_tokens": 900, "n": 2, "logprobs": 1}
    whole = client.post(COMPLETIONS, json=body).json()
    assert len(whole["choices"]) == 4
    texts = dict.fromkeys(range(4), "")
    with client.stream("POST", COMPLETIONS, json={**body, "stream": True}) as response:
        for chunk in events(response):
            for choice in chunk["choices"]:
                texts[choice["index"]] += choice["text"]
    for choice in whole["choices"]:
        assert re.fullmatch(pattern, choice["text"], re.DOTALL)
        assert texts[choice["index"]] == choice["text"]
    assert whole["limpide"]["receipt"]["parameters"]["shape"]["status"] == "applied"


def output_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Items without their ids, which are new each time."""
    return [{name: value for name, value in item.items() if name != "id"} for item in body["output"]]


def responded(client: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    """The output of a response, which is the same whether streamed or whole, or fetched later."""
    body = {"input": "hello", "seed": 5, "max_output_tokens": 3000, **fields}
    answer = client.post(RESPONSES, json=body)
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    with client.stream("POST", RESPONSES, json={**body, "stream": True}) as response:
        *written, last = events(response)
    assert output_of(last["response"]) == output_of(whole)
    assert last["response"]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    deltas = "".join(e["delta"] for e in written if e["type"] == "response.function_call_arguments.delta")
    assert deltas == "".join(item["arguments"] for item in whole["output"] if item["type"] == "function_call")
    assert client.get(f"{RESPONSES}/{whole['id']}").json() == whole
    return output_of(whole)


def test_responses_with_a_shape_and_with_tools(client: httpx.Client) -> None:
    form = {"format": {"type": "json_schema", "name": "city", "schema": CITY}}
    thinking, message = responded(client, text=form, reasoning={"effort": "low"})
    assert thinking["content"][0]["text"] == THOUGHT
    assert json.loads(message["content"][0]["text"])["city"] in ("Łódź", "Paris")
    tools = [{"type": "function", **tool["function"]} for tool in TOOLS]
    named = {"type": "function", "name": "book"}
    thinking, *calls = responded(client, tools=tools, tool_choice=named, think="low")
    assert thinking["content"][0]["text"] == THOUGHT
    assert {call["name"] for call in calls} == {"book"}
    assert all(json.loads(call["arguments"])["people"] in range(1, 100) for call in calls)
    [message] = responded(client, tools=tools, tool_choice="none", temperature=0)
    assert "<tool_call>" not in message["content"][0]["text"]


def in_schema(path: str, schema: Any) -> dict[str, Any]:
    named = {"name": "a", "schema": schema}
    if path == RESPONSES:
        return {"text": {"format": {"type": "json_schema", **named}}}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def with_tool(path: str, schema: Any) -> dict[str, Any]:
    function = {"name": "a", "strict": True, "parameters": schema}
    return {
        "tools": [{"type": "function", **function} if path == RESPONSES else {"type": "function", "function": function}]
    }


ASKED: dict[str, dict[str, Any]] = {CHAT: {"messages": HELLO}, COMPLETIONS: {"prompt": "a"}, RESPONSES: {"input": "a"}}
PLACES = [
    (CHAT, in_schema, "response_format"),
    (COMPLETIONS, in_schema, "response_format"),
    (RESPONSES, in_schema, "text.format"),
    (CHAT, with_tool, "tools"),
    (RESPONSES, with_tool, "tools"),
]


@pytest.mark.parametrize(("path", "where", "param"), PLACES)
@pytest.mark.parametrize("stream", [False, True])
def test_what_can_not_be_enforced_names_its_field(
    client: httpx.Client, path: str, where: Callable[[str, Any], dict[str, Any]], param: str, stream: bool
) -> None:
    answer = client.post(path, json={**ASKED[path], **where(path, NEVER), "stream": stream})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, "invalid_shape", "invalid_request_error")


def test_a_schema_of_a_message_names_its_field(client: httpx.Client) -> None:
    form = {"output_config": {"format": {"type": "json_schema", "schema": NEVER}}}
    answer = client.post("/v1/messages", json={"messages": HELLO, "max_tokens": 9, **form})
    assert (answer.status_code, answer.json()["error"]["details"]["param"]) == (400, "output_config.format")


@pytest.mark.parametrize("form", [{"type": "regex", "pattern": "("}, {"type": "grammar", "grammar": "?"}])
def test_what_is_no_expression_or_grammar_is_refused(client: httpx.Client, form: dict[str, Any]) -> None:
    error = client.post(CHAT, json=hello(response_format=form)).json()["error"]
    assert (error["param"], error["code"]) == ("response_format", "invalid_shape")


@pytest.mark.parametrize(("path", "where", "param"), PLACES)
def test_schemas_have_a_size(
    client: httpx.Client, path: str, where: Callable[[str, Any], dict[str, Any]], param: str
) -> None:
    answer = client.post(path, json={**ASKED[path], **where(path, {"enum": list(range(MAX_SCHEMA_NODES))})})
    assert answer.status_code == 413
    assert "schema" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "x" * 9000}]}),
        (COMPLETIONS, {"prompt": "x" * 9000}),
        (RESPONSES, {"input": "x" * 9000}),
    ],
)
def test_too_long_is_an_error_before_anything_is_written(
    client: httpx.Client, path: str, body: dict[str, Any], stream: bool
) -> None:
    answer = client.post(path, json={**body, "stream": stream})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    tokens, limit = re.findall(r"\d{4,}", error["message"])[:2]
    assert int(tokens) >= 9000
    assert int(limit) == 8192
