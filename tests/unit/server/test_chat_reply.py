"""Events become chunks, and chunks add up to the whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability, ToolCallDelta, Usage
from limpide.core.receipt import Outcome, Receipt
from limpide.server.wire.chat_reply import ChatChunks, ChatFold

RECEIPT = Receipt(
    {"temperature": Outcome("applied", 1.0, 0.9, "settled")}, "m", None, None, None, "limpide", "exact", 1
)


def end(index: int = 0, reason: Any = "stop", thinking: int = 3, answer: int = 2) -> Finished:
    return Finished(reason, Usage(10, 4, thinking, answer), RECEIPT, index)


def chunks_of(events: list[Event], **options: Any) -> list[dict[str, Any]]:
    chunks = ChatChunks("chatcmpl-1", 7, "m", **{"outcomes": {}, **options})
    made = [*chunks.open(), *(chunk for event in events for chunk in chunks.push(event))]
    return [chunk.model_dump(exclude_unset=True) for chunk in made]


def whole_of(events: list[Event], **options: Any) -> dict[str, Any]:
    chunks = ChatChunks("chatcmpl-1", 7, "m", **{"outcomes": {}, **options})
    fold = ChatFold(chunks.ends)
    fold.add(chunks.open())
    for event in events:
        fold.add(chunks.push(event))
    return fold.whole().model_dump(exclude_unset=True)


def test_the_order_of_a_stream() -> None:
    made = chunks_of([ThinkingDelta("hm"), TextDelta("yes"), end()])
    assert [chunk["choices"][0]["delta"] for chunk in made] == [
        {"role": "assistant", "content": ""},
        {"reasoning": "hm", "reasoning_content": "hm"},
        {"content": "yes"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in made] == [None, None, None, "stop"]
    assert [("limpide" in chunk, "usage" in chunk) for chunk in made] == [(False, False)] * 3 + [(True, False)]
    assert {(chunk["id"], chunk["created"], chunk["object"]) for chunk in made} == {
        ("chatcmpl-1", 7, "chat.completion.chunk")
    }


def test_usage_comes_in_a_chunk_of_its_own() -> None:
    *before, last = chunks_of([TextDelta("yes"), end()], include_usage=True)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {
            "reasoning_tokens": 3,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert last["limpide"]["receipt"]["seed"] == 1
    assert all(chunk["usage"] is None and "limpide" not in chunk for chunk in before)


def test_a_shared_prompt_is_counted_once() -> None:
    usage = whole_of([end(1), end(0)], choices=2)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (10, 10)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 4


def test_calls() -> None:
    events: list[Event] = [
        ToolCallDelta(0, "c1", "look"),
        ToolCallDelta(0, arguments='{"x"'),
        ToolCallDelta(0, arguments=": 1}"),
        ToolCallDelta(1, "c2", "buy", "{}"),
        end(reason="tool_calls"),
    ]
    first, second = (chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks_of(events)[1:3])
    assert first == {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
    assert second == {"index": 0, "function": {"arguments": '{"x"'}}
    choice = whole_of(events)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "buy", "arguments": "{}"}},
    ]


def test_logprobs_of_answer_and_thinking_stand_apart() -> None:
    other = TokenProbability(6, "n", b"n", -2.0)
    token = TokenProbability(5, "\ufffd", b"\xc3", -0.5, (other,))
    logprobs = whole_of([ThinkingDelta("hm", 0, (token,)), TextDelta("yes", 0, (token, other)), end()])["choices"][0][
        "logprobs"
    ]
    top = [{"token": "n", "logprob": -2.0, "bytes": [110]}]
    first = {"token": "\ufffd", "logprob": -0.5, "bytes": [195], "top_logprobs": top}
    assert logprobs["reasoning"] == [first]
    assert logprobs["content"] == [first, {**top[0], "top_logprobs": []}]
    assert whole_of([TextDelta("yes"), end()])["choices"][0]["logprobs"] is None


def test_thinking_can_be_left_out_of_the_response() -> None:
    whole = whole_of([ThinkingDelta("hm"), TextDelta("yes"), end()], show_thinking=False)
    assert "reasoning" not in whole["choices"][0]["message"]
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


def test_a_default_keeps_what_the_engine_made_of_it_and_refusals_are_added() -> None:
    told = {"temperature": Outcome("applied", None, 1.0, "default"), "user": Outcome("refused", "me", None, "why")}
    parameters = whole_of([end()], outcomes=told)["limpide"]["receipt"]["parameters"]
    assert parameters["temperature"] == {
        "status": "applied",
        "requested": None,
        "effective": 0.9,
        "why": "default; settled",
    }
    assert parameters["user"] == {"status": "refused", "requested": "me", "effective": None, "why": "why"}


def test_an_answer_that_was_cut_off_is_not_called_complete() -> None:
    whole = whole_of([TextDelta("ye"), end(reason="aborted")])
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["limpide"]["choices"]["0"]["reason"] == "aborted"


@pytest.mark.parametrize("events", [[], [TextDelta("x")], [end(0)]])
def test_half_an_answer_is_an_error(events: list[Event]) -> None:
    with pytest.raises(EngineStopped):
        whole_of(events, choices=2)


_EVENTS = st.lists(
    st.builds(TextDelta, st.text(), st.integers(0, 2))
    | st.builds(ThinkingDelta, st.text(), st.integers(0, 2))
    | st.builds(ToolCallDelta, st.integers(0, 2), st.just("c"), st.just("f"), st.text(), st.integers(0, 2)),
    max_size=30,
)


@given(_EVENTS, st.booleans())
def test_the_stream_adds_up_to_the_whole(events: list[Event], include_usage: bool) -> None:
    """Added up here in the way in which clients do it."""
    events = [*events, end(2), end(0), end(1)]
    whole = whole_of(events, choices=3)
    texts, thoughts, calls = ["", "", ""], ["", "", ""], ["", "", ""]
    for chunk in chunks_of(events, choices=3, include_usage=include_usage):
        for choice in chunk["choices"]:
            delta = choice["delta"]
            texts[choice["index"]] += delta.get("content") or ""
            thoughts[choice["index"]] += delta.get("reasoning_content", "")
            calls[choice["index"]] += "".join(c["function"]["arguments"] for c in delta.get("tool_calls", ()))
    for choice in whole["choices"]:
        message = choice["message"]
        assert (message["content"] or "") == texts[choice["index"]]
        assert message.get("reasoning", "") == message.get("reasoning_content", "") == thoughts[choice["index"]]
        assert len("".join(c["function"]["arguments"] for c in message.get("tool_calls", ()))) == len(
            calls[choice["index"]]
        )
