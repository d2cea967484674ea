"""Events become those of a message, and add up to the whole."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from limpide.core.receipt import Outcome, Receipt
from limpide.server.wire.message_reply import INVALID_JSON, SIGNATURE, MessageEvents, MessageFold, read_input

RECEIPT = Receipt({"top_p": Outcome("applied", 1.0, 1.0)}, "m", None, None, None, "limpide", "exact", 1)


def end(reason: Any = "stop", stop: str | None = None, thinking: int = 3, answer: int = 2) -> Finished:
    return Finished(reason, Usage(10, 4, thinking, answer), RECEIPT, stop=stop)


def writer(**options: Any) -> MessageEvents:
    return MessageEvents("msg_1", "m", **{"prompt_tokens": 10, "outcomes": {}, "max_tokens": 5, **options})


def stream_of(events: list[Event], **options: Any) -> list[dict[str, Any]]:
    made = writer(**options)
    stream = [*made.open(), *(each for event in events for each in made.push(event)), *made.close()]
    return [json.loads(each.as_json()) for each in stream]


def whole_of(events: list[Event], **options: Any) -> dict[str, Any]:
    made, fold = writer(**options), MessageFold()
    fold.add(made.open())
    for event in events:
        fold.add(made.push(event))
    whole: dict[str, Any] = json.loads(fold.whole().as_json())
    return whole


def test_the_order_of_a_stream() -> None:
    stream = stream_of(
        [ThinkingDelta("h"), ThinkingDelta("m"), TextDelta("yes"), ToolCallDelta(0, "c1", "look", '{"x"'), end()]
    )
    assert [(event["type"], event.get("index")) for event in stream] == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert [event["content_block"] for event in stream if event["type"] == "content_block_start"] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {}},
    ]
    assert [event["delta"] for event in stream if event["type"] == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "h"},
        {"type": "thinking_delta", "thinking": "m"},
        {"type": "signature_delta", "signature": SIGNATURE},
        {"type": "text_delta", "text": "yes"},
        {"type": "input_json_delta", "partial_json": '{"x"'},
    ]
    assert stream[0]["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
            "output_tokens_details": {"thinking_tokens": 0},
        },
    }


def test_counts_are_true_and_add_up() -> None:
    usage = {
        "input_tokens": 6,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    *_, delta, _ = stream_of([TextDelta("yes"), end()])
    assert delta["usage"] == usage
    assert delta["limpide"]["receipt"]["seed"] == 1
    assert whole_of([TextDelta("yes"), end()])["usage"] == usage


def test_the_receipt_has_what_the_translation_says() -> None:
    parameters = whole_of([end()], outcomes={"speed": Outcome("refused", "fast", None, "why")})["limpide"]["receipt"][
        "parameters"
    ]
    assert parameters.keys() == {"top_p", "speed"}


@pytest.mark.parametrize(
    ("finished", "reason", "sequence"),
    [
        (end(), "end_turn", None),
        (end(stop="\n"), "stop_sequence", "\n"),
        (end("tool_calls"), "tool_use", None),
        (end("length"), "max_tokens", None),
        (end("length", answer=1), "model_context_window_exceeded", None),
        (end("aborted", answer=1), "max_tokens", None),
    ],
)
def test_why_it_ended(finished: Finished, reason: str, sequence: str | None) -> None:
    whole = whole_of([TextDelta("yes"), finished])
    assert (whole["stop_reason"], whole["stop_sequence"]) == (reason, sequence)
    assert stream_of([finished])[-2]["delta"] == {"stop_reason": reason, "stop_sequence": sequence}


def test_calls() -> None:
    events: list[Event] = [
        ToolCallDelta(0, "c1", "look"),
        ToolCallDelta(0, arguments='{"x"'),
        ToolCallDelta(0, arguments=": 1}"),
        ToolCallDelta(1, "c2", "buy"),
        end("tool_calls"),
    ]
    assert whole_of(events)["content"] == [
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"x": 1}},
        {"type": "tool_use", "id": "c2", "name": "buy", "input": {}},
    ]


@pytest.mark.parametrize("text", ['{"path": "/tmp', "[1]", '{"x": NaN}', '{"x": "\\ud800"}', "{" * 9999, '{"x": 1} y'])
def test_an_input_that_is_no_object_is_kept_as_text(text: str) -> None:
    assert read_input(text) == {INVALID_JSON: text}


def test_numbers_too_long_to_write_are_kept_as_text() -> None:
    text = f'{{"x": {"9" * 5000}}}'
    assert read_input(text) == {INVALID_JSON: text}
    assert whole_of([ToolCallDelta(0, "c", "f", text), end()])["content"][0]["input"] == {INVALID_JSON: text}


def test_thinking_can_be_left_out() -> None:
    events: list[Event] = [ThinkingDelta("hm"), TextDelta("yes"), end()]
    whole = whole_of(events, show_thinking=False)
    assert whole["content"] == [
        {"type": "thinking", "thinking": "", "signature": SIGNATURE},
        {"type": "text", "text": "yes"},
    ]
    assert whole["usage"]["output_tokens_details"]["thinking_tokens"] == 3
    assert "hm" not in json.dumps(stream_of(events, show_thinking=False))


@pytest.mark.parametrize("events", [[], [TextDelta("x")]])
def test_half_an_answer_is_an_error(events: list[Event]) -> None:
    with pytest.raises(EngineStopped):
        whole_of(events)
    with pytest.raises(EngineStopped):
        stream_of(events)
    with pytest.raises(EngineStopped):
        MessageFold().whole()


_TEXTS = st.text('ab"\\{é\n', max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Thinking, text and calls in any order; calls one after another, as core/events.py says."""
    events: list[Event] = []
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["thinking", "text", "call"]), max_size=8)):
        texts = draw(st.lists(_TEXTS, max_size=3))
        if kind == "call":
            written = json.dumps(draw(st.dictionaries(_TEXTS, _TEXTS, max_size=2)))
            cut = draw(st.integers(0, len(written)))
            events += [ToolCallDelta(calls, f"c{calls}", "f"), ToolCallDelta(calls, arguments=written[:cut])]
            events.append(ToolCallDelta(calls, arguments=written[cut:]))
            calls += 1
        else:
            events += [TextDelta(text) if kind == "text" else ThinkingDelta(text) for text in texts]
    return [*events, end(draw(st.sampled_from(("stop", "length", "tool_calls", "aborted"))))]


@given(answers(), st.booleans())
def test_the_stream_adds_up_to_the_whole(events: list[Event], show_thinking: bool) -> None:
    """Added up here in the way in which clients do it."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    open_block: int | None = None
    for event in stream_of(events, show_thinking=show_thinking):
        match event:
            case {"type": "message_start"}:
                message = event["message"]
            case {"type": "content_block_start", "index": index}:
                assert open_block is None
                assert index == len(message["content"])
                open_block = index
                message["content"].append(event["content_block"])
            case {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}:
                assert index == open_block
                [(name, piece)] = delta.items()
                if kind == "input_json_delta":
                    inputs[index] = inputs.get(index, "") + piece
                else:
                    message["content"][index][name] += piece
            case {"type": "content_block_stop", "index": index}:
                assert index == open_block
                open_block = None
            case {"type": "message_delta"}:
                assert open_block is None
                message |= event["delta"] | {"usage": event["usage"], "limpide": event["limpide"]}
    for index, written in inputs.items():
        message["content"][index]["input"] = json.loads(written)
    assert message == whole_of(events, show_thinking=show_thinking)
    kinds = [block["type"] for block in message["content"]]
    assert all(pair[0] == "tool_use" for pair in pairwise(kinds) if pair[0] == pair[1])
    texts = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    assert texts == "".join(event.text for event in events if isinstance(event, TextDelta))
