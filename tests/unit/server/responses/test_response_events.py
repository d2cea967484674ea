"""Any answer becomes a well-formed stream, and the stream and the final response say the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability, ToolCallDelta, Usage
from limpide.core.receipt import Outcome, Receipt
from limpide.server.responses.events import ENDINGS, ResponseWriter

RECEIPT = Receipt({"temperature": Outcome("applied", 1.0)}, "m", None, None, None, "limpide 0", "fast", 7)
USAGE = Usage(prompt_tokens=10, cached_tokens=4, thinking_tokens=5, answer_tokens=3)
FRAME: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": None,
}
CLIENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOKEN = TokenProbability(5, "a", b"a", -0.5, (TokenProbability(6, "b", b"b", -1.5),))


def finished(reason: Any = "stop") -> Finished:
    return Finished(reason, USAGE, RECEIPT)


def written(events: Sequence[Event], **frame: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What is streamed, and the response at the end."""
    counter = itertools.count()
    writer = ResponseWriter({**FRAME, **frame}, lambda prefix: f"{prefix}{next(counter)}")
    streamed = [*writer.create(), *writer.begin()]
    for event in events:
        streamed += writer.write(event)
    return streamed, writer.body


def folded(streamed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output that a client makes of the deltas alone, checking the order of events on the way."""
    output: list[dict[str, Any]] = []
    open_item: str | None = None
    open_part = False
    for event in streamed:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert open_item is None
            assert event["output_index"] == len(output)
            open_item = event["item"]["id"]
            output.append({**event["item"], "content": []} if "content" in event["item"] else dict(event["item"]))
        elif kind == "response.output_item.done":
            assert not open_part
            assert event["item"]["id"] == open_item
            output[-1]["status"] = event["item"]["status"]
            assert output[-1] == event["item"]
            open_item = None
        elif "item_id" in event:
            assert event["item_id"] == open_item
            assert event["output_index"] == len(output) - 1
            last = output[-1]
            if kind == "response.content_part.added":
                assert not open_part
                open_part = True
                assert event["part"]["text"] == ""
                last["content"].append({**event["part"]})
            elif kind == "response.content_part.done":
                assert event["part"] == last["content"][0]
                open_part = False
            elif kind == "response.function_call_arguments.delta":
                last["arguments"] += event["delta"]
            elif kind == "response.function_call_arguments.done":
                assert event["arguments"] == last["arguments"]
            elif kind.endswith(".delta"):
                assert open_part
                last["content"][0]["text"] += event["delta"]
                if event.get("logprobs"):
                    last["content"][0]["logprobs"] = last["content"][0]["logprobs"] + event["logprobs"]
            else:
                assert kind in ("response.output_text.done", "response.reasoning_text.done")
                assert event["text"] == last["content"][0]["text"]
    assert open_item is None
    return output


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Any order of thinking, words and calls; calls one after another, each told in any number of pieces."""
    events: list[Event] = []
    call = 0
    for kind in draw(st.lists(st.sampled_from(["thinking", "text", "call"]), max_size=8)):
        pieces = draw(st.lists(st.text(max_size=4), max_size=4))
        if kind == "thinking":
            events += [ThinkingDelta(piece) for piece in pieces]
        elif kind == "text":
            events += [TextDelta(piece, logprobs=(TOKEN,) if draw(st.booleans()) else ()) for piece in pieces]
        else:
            events.append(ToolCallDelta(call, f"call_{call}", "tool"))
            events += [ToolCallDelta(call, arguments=piece) for piece in pieces]
            call += 1
    return [*events, finished(draw(st.sampled_from(["stop", "length", "tool_calls", "aborted"])))]


@settings(deadline=None)
@given(answers())
def test_any_answer_is_a_well_formed_stream_that_adds_up_to_the_response(events: list[Event]) -> None:
    streamed, body = written(events)
    assert [event["sequence_number"] for event in streamed] == list(range(len(streamed)))
    assert [event["type"] for event in streamed[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] in ENDINGS for event in streamed] == [False] * (len(streamed) - 1) + [True]
    assert streamed[-1]["response"] == body
    assert folded(streamed) == body["output"]


@settings(deadline=None)
@given(answers())
def test_nothing_of_the_answer_is_lost_or_moved(events: list[Event]) -> None:
    _, body = written(events)
    said = {"thinking": "", "text": "", "arguments": ""}
    for event in events:
        match event:
            case ThinkingDelta():
                said["thinking"] += event.text
            case TextDelta():
                said["text"] += event.text
            case ToolCallDelta():
                said["arguments"] += event.arguments
    items = body["output"]
    parts = [(item["type"], part) for item in items for part in item.get("content", [])]
    assert said == {
        "thinking": "".join(part["text"] for kind, part in parts if kind == "reasoning"),
        "text": "".join(part["text"] for kind, part in parts if kind == "message"),
        "arguments": "".join(item.get("arguments", "") for item in items),
    }
    calls = [event.id for event in events if isinstance(event, ToolCallDelta) and event.id]
    assert [item["call_id"] for item in items if item["type"] == "function_call"] == calls
    assert len({item["id"] for item in items}) == len(items)


@settings(deadline=None)
@given(answers())
def test_the_official_client_reads_every_event(events: list[Event]) -> None:
    streamed, body = written(events)
    for event in streamed:
        CLIENT.validate_python(event)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert Response.model_validate(body).output_text == text


@settings(deadline=None)
@given(answers(), st.integers(0, 20), st.sampled_from(["fail", "cancel"]))
def test_an_answer_that_breaks_off_is_well_formed_too(events: list[Event], at: int, how: str) -> None:
    counter = itertools.count()
    writer = ResponseWriter(dict(FRAME), lambda prefix: f"{prefix}{next(counter)}")
    streamed = [*writer.create(), *writer.begin()]
    for event in events[:-1][:at]:
        streamed += writer.write(event)
    streamed += writer.fail("server_error", "broken") if how == "fail" else writer.cancel()
    assert folded(streamed) == writer.body["output"]
    assert (writer.body["status"], streamed[-1]["type"]) == (
        ("failed", "response.failed") if how == "fail" else ("cancelled", "response.incomplete")
    )
    assert writer.ended


@pytest.mark.parametrize(
    ("reason", "status", "details", "last"),
    [
        ("stop", "completed", None, "response.completed"),
        ("tool_calls", "completed", None, "response.completed"),
        ("length", "incomplete", {"reason": "max_output_tokens"}, "response.incomplete"),
        ("aborted", "cancelled", None, "response.incomplete"),
    ],
)
def test_how_it_ended(reason: str, status: str, details: Any, last: str) -> None:
    streamed, body = written([TextDelta("a"), finished(reason)])
    assert (body["status"], body["incomplete_details"], streamed[-1]["type"]) == (status, details, last)
    assert body["output"][-1]["status"] == ("completed" if status == "completed" else "incomplete")
    assert ("completed_at" in body) == (status == "completed")


def test_usage_counts_what_was_cached_and_what_was_thought() -> None:
    _, body = written([TextDelta("a"), finished()])
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 18,
    }


def test_the_receipt_says_what_was_refused() -> None:
    writer = ResponseWriter(dict(FRAME), lambda p: p, outcomes={"user": Outcome("refused", "u", why="no")})
    list(writer.write(finished()))
    parameters = writer.body["limpide"]["receipt"]["parameters"]
    assert (parameters["user"]["status"], parameters["temperature"]["status"]) == ("refused", "applied")
    assert replace(RECEIPT).parameters.keys() == {"temperature"}, "the model's own receipt is left alone"


def test_a_background_response_waits_first() -> None:
    streamed, _ = written([finished()], status="queued")
    states = [(event["type"], event["response"]["status"]) for event in streamed]
    assert states == [
        ("response.created", "queued"),
        ("response.queued", "queued"),
        ("response.in_progress", "in_progress"),
        ("response.completed", "completed"),
    ]


def test_what_was_written_so_far_can_be_looked_at() -> None:
    writer = ResponseWriter(dict(FRAME), lambda p: p)
    events = [*writer.begin(), *writer.write(TextDelta("half an ")), *writer.write(TextDelta("answer"))]
    assert writer.body["output"][0]["content"][0]["text"] == "half an answer"
    assert events[1]["item"]["content"] == [], "an event that was sent does not change"
