"""The official client and the Responses API, over a real server with a scripted model."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from limpide.server.settings import ServerSettings

CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Lyon"}}</tool_call>'
TOOL: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


def client_of(http: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def client(fake_host: Any, serve: Any) -> openai.OpenAI:
    return client_of(serve(fake_host("The answer.", thinking="A thought.")))


def test_whole_and_streamed_are_the_same(client: openai.OpenAI) -> None:
    asked: Any = {"model": "fake", "input": "hi " * 50, "temperature": 0, "reasoning": {"effort": "low"}}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))
    assert whole.output_text == "The answer."
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert whole.output[0].content[0].text == "A thought."
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert types[-1] == "response.completed"
    assert {"response.reasoning_text.delta", "response.output_text.delta", "response.content_part.done"} <= set(types)
    streamed = events[-1].response

    def same(response: Any) -> Any:
        return [{k: v for k, v in item.to_dict().items() if k != "id"} for item in response.output], response.status

    assert same(streamed) == same(whole)
    assert (
        whole.usage.output_tokens_details.reasoning_tokens == streamed.usage.output_tokens_details.reasoning_tokens > 0
    )
    assert streamed.usage.input_tokens_details.cached_tokens > 0, "the same prompt a second time"
    assert client.responses.retrieve(streamed.id).to_dict() == streamed.to_dict()
    assert whole.to_dict()["limpide"]["receipt"]["parameters"]["temperature"]["status"] == "applied"


def test_frames_have_names(fake_host: Any, serve: Any) -> None:
    http = serve(fake_host("ok"))
    text = http.post("/v1/responses", json={"input": "hi", "stream": True}).text
    frames = text.strip().split("\n\n")
    assert all(
        frame.startswith("event: response.") and f'"type": "{frame[7 : frame.index(chr(10))]}"' in frame
        for frame in frames
    )
    assert "[DONE]" not in text


def test_a_conversation_goes_on_from_what_is_stored(fake_host: Any, serve: Any) -> None:
    client = client_of(serve(fake_host(lambda before: " ".join(w for w in ("one", "two", "rules") if w in before))))
    first = client.responses.create(model="fake", input="one", instructions="rules")
    second = client.responses.create(model="fake", input="two", previous_response_id=first.id)
    assert first.output_text == "one rules"
    assert "two" in second.output_text
    third = client.responses.create(model="fake", input="three", store=False)
    assert third.output_text == "", "without the id nothing is remembered"
    items = [item.content[0].text for item in client.responses.input_items.list(second.id)]
    assert items == ["two"]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError, match=first.id):
        client.responses.create(model="fake", input="three", previous_response_id=second.id)


def test_tools_and_thinking_over_two_turns(fake_host: Any, serve: Any) -> None:
    def reply(before: str) -> str:
        return "It is sunny." if "sunny" in before else CALL

    client = client_of(serve(fake_host(reply, thinking="Look it up.")))
    asked: Any = {"model": "fake", "tools": [TOOL], "reasoning": {"effort": "low"}}
    question: Any = [{"role": "user", "content": "weather in Lyon?"}]
    first = client.responses.create(input=question, store=False, **asked)
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    call: Any = first.output[1]
    assert (call.name, call.arguments) == ("weather", '{"city": "Lyon"}')
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    sent_back = [*question, *(item.to_dict() for item in first.output), result]
    assert client.responses.create(input=sent_back, store=False, **asked).output_text == "It is sunny."
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)

    streamed = list(client.responses.create(input=question, stream=True, **asked))
    assert "response.function_call_arguments.delta" in [event.type for event in streamed]
    kept = streamed[-1].response
    again = client.responses.create(
        input=[{**result, "call_id": kept.output[1].call_id}], previous_response_id=kept.id, **asked
    )
    assert again.output_text == "It is sunny."
    items = client.responses.input_items.list(again.id)
    assert [item.type for item in items.data] == ["function_call_output"]


def test_input_items_by_pages(client: openai.OpenAI) -> None:
    turns: Any = [{"role": "user", "content": str(number)} for number in range(5)]
    response = client.responses.create(model="fake", input=turns)
    got = list(client.responses.input_items.list(response.id, limit=2, order="asc"))
    assert [item.content[0].text for item in got] == ["0", "1", "2", "3", "4"]
    assert client.responses.input_items.list(response.id).data[0].content[0].text == "4"


def test_a_limit_makes_it_incomplete(client: openai.OpenAI) -> None:
    response = client.responses.create(model="fake", input="hi", max_output_tokens=3)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text == "The"
    assert client.responses.create(model="fake", input="go on", previous_response_id=response.id).status == "completed"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "hi", "unheard_of": 1}, "unheard_of"),
        ({"input": "hi", "conversation": "c"}, "conversation"),
        ({"input": "hi", "background": True, "store": False}, "background"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, None),
        ({"input": ""}, None),
        ({"input": "x" * 20_000}, None),
    ],
)
def test_what_is_refused_stores_nothing(
    fake_host: Any, serve: Any, tmp_path: Path, body: Any, param: str | None
) -> None:
    http = serve(fake_host("ok"), ServerSettings(database=tmp_path / "server.db"))
    answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"]
    if param is not None:
        assert error["param"] == param
    if (tmp_path / "server.db").exists():
        with sqlite3.connect(tmp_path / "server.db") as database:
            assert database.execute("SELECT count(*) FROM responses").fetchone() == (0,)
        database.close()


def test_a_background_response_is_there_at_once_and_done_later(client: openai.OpenAI) -> None:
    response = client.responses.create(model="fake", input="hi", background=True)
    assert (response.status, response.output) == ("queued", [])
    while response.status in ("queued", "in_progress"):
        response = client.responses.retrieve(response.id)
    assert (response.status, response.output_text) == ("completed", "The answer.")
    with pytest.raises(openai.BadRequestError, match="was not kept"):
        follow_until_refused(client, response.id)


def follow_until_refused(client: openai.OpenAI, name: str) -> None:
    """It may be told as a running one for a moment longer."""
    for _ in range(200):
        list(client.responses.retrieve(name, stream=True))


def test_a_stream_can_be_taken_up_again(client: openai.OpenAI) -> None:
    events = []
    stream = client.responses.create(model="fake", input="hi", background=True, stream=True)
    for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    name = events[0].response.id
    rest = list(client.responses.retrieve(name, stream=True, starting_after=events[-1].sequence_number))
    assert rest[0].sequence_number == events[-1].sequence_number + 1
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output_text == "The answer."
    again = list(client.responses.retrieve(name, stream=True))
    assert [e.to_dict() for e in again] == [e.to_dict() for e in [*events, *rest]]


ENDLESS = "word " * 1500


def test_cancelling_keeps_what_was_written(fake_host: Any, serve: Any) -> None:
    client = client_of(serve(fake_host(ENDLESS)))
    stream = client.responses.create(model="fake", input="hi", background=True, stream=True)
    name = next(iter(stream)).response.id
    assert next(event for event in stream if event.type == "response.output_text.delta").delta
    cancelled = client.responses.cancel(name)
    stream.close()
    assert cancelled.status == "cancelled"
    assert ENDLESS.startswith(cancelled.output_text)
    assert 0 < len(cancelled.output_text) < len(ENDLESS)
    assert client.responses.retrieve(name).to_dict() == cancelled.to_dict()
    assert client.responses.cancel(name).status == "cancelled", "twice is once"


def test_only_background_responses_can_be_cancelled(client: openai.OpenAI) -> None:
    response = client.responses.create(model="fake", input="hi")
    with pytest.raises(openai.BadRequestError, match="not written in the background"):
        client.responses.cancel(response.id)


def test_deleting_stops_it(fake_host: Any, serve: Any) -> None:
    client = client_of(serve(fake_host(ENDLESS)))
    name = client.responses.create(model="fake", input="hi", background=True).id
    client.responses.delete(name)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(name)


def test_who_leaves_a_stream_ends_it(fake_host: Any, serve: Any) -> None:
    client = client_of(serve(fake_host(ENDLESS)))
    stream = client.responses.create(model="fake", input="hi", stream=True)
    name = next(iter(stream)).response.id
    stream.close()
    while client.responses.retrieve(name).status == "in_progress":
        pass
    response = client.responses.retrieve(name)
    assert response.status == "cancelled"
    assert len(response.output_text) < len(ENDLESS)


def test_a_store_that_fails_is_said_and_the_rest_works(fake_host: Any, serve: Any, tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    path.write_bytes(b"no database" * 1000)
    http = serve(fake_host("ok"), ServerSettings(database=path))
    failed = http.post("/v1/responses", json={"input": "hi"})
    assert (failed.status_code, failed.json()["error"]["code"]) == (503, "store_unavailable")
    assert http.post("/v1/responses", json={"input": "hi", "store": False}).json()["status"] == "completed"
    assert path.read_bytes() == b"no database" * 1000
