"""Streams become the events that they were made of; nonsense is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.backends.remote.reading import Chunks
from limpide.core.errors import EndpointFailed
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability, ToolCallDelta, Usage
from limpide.core.receipt import Outcome, Receipt
from limpide.server.wire.chat_reply import ChatChunks

RECEIPT = Receipt(
    {"temperature": Outcome("clamped", 1.0, 0.9, "settled")}, "m", "w", "t", None, "limpide 1", "exact", 1
)
USAGE = Usage(10, 4, 3, 2, thinking_truncated=True, queue_seconds=0.5, prefill_seconds=0.25, decode_seconds=1.5)
TOKENS = st.builds(
    TokenProbability,
    st.just(-1),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.floats(-50, 0),
    st.just(()) | st.just((TokenProbability(-1, "é", "é".encode(), -1.5),)),
)
DELTAS = st.lists(
    st.builds(ThinkingDelta, st.text(min_size=1), logprobs=st.lists(TOKENS, max_size=2).map(tuple))
    | st.builds(TextDelta, st.text(min_size=1), logprobs=st.lists(TOKENS, max_size=2).map(tuple))
    | st.builds(ToolCallDelta, st.integers(0, 3), st.just("call_1"), st.just("look"), st.text())
    | st.builds(ToolCallDelta, st.integers(0, 3), arguments=st.text())
)


def read(*chunks: Any, sent: Any = None) -> list[Event]:
    return list(Chunks("there", sent or {}, {}, "asked").events(chunks))


@given(deltas=DELTAS, reason=st.sampled_from(["stop", "length", "tool_calls"]), stop=st.none() | st.text(min_size=1))
def test_our_own_streams_lose_nothing(deltas: list[Event], reason: Any, stop: str | None) -> None:
    events = [*deltas, Finished(reason, USAGE, RECEIPT, stop=stop)]
    chunks = ChatChunks("chatcmpl-1", 7, "m", outcomes={}, include_usage=True)
    made = [*chunks.open(), *(chunk for event in events for chunk in chunks.push(event))]
    assert read(*(chunk.model_dump(mode="json", exclude_unset=True) for chunk in made)) == events


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


def test_a_stranger_without_counts_or_receipt() -> None:
    *deltas, end = read(
        delta(role="assistant", content=""),
        delta(reasoning="hm"),
        delta(content="yes"),
        delta(content=None),
        delta("stop"),
        sent={"temperature": 0.5, "seed": 3, "messages": ["private"]},
    )
    assert deltas == [ThinkingDelta("hm"), TextDelta("yes")]
    assert isinstance(end, Finished)
    assert (end.usage.answer_tokens, end.usage.prompt_tokens) == (2, 0)
    assert (end.receipt.model, end.receipt.engine, end.receipt.numerics, end.receipt.seed) == ("m-1", "there", None, 3)
    assert end.receipt.parameters.keys() == {"temperature", "seed"}
    assert "does not say" in (end.receipt.parameters["temperature"].why or "")


def test_half_a_character_can_be_written_to_a_file() -> None:
    text, call, _ = read(
        delta(content="a\ud800"), delta("stop", tool_calls=[{"function": {"name": "f", "arguments": "\udfff"}}])
    )
    assert text == TextDelta("a?")
    assert call == ToolCallDelta(0, None, "f", "?")


def test_counts_of_a_stranger() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    *_, end = read(delta(content="yes"), delta("length"), {"choices": [], "usage": usage})
    assert isinstance(end, Finished)
    assert end.usage.prompt_tokens == 9
    assert (end.usage.cached_tokens, end.usage.thinking_tokens, end.usage.answer_tokens) == (8, 5, 2)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [delta(content="and then")],
        ["text"],
        [None],
        [{"choices": {}}],
        [{"choices": ["a"]}],
        [{"choices": [{"delta": []}]}],
        [{"choices": [{"index": 1, "delta": {"content": "a"}}]}],
        [delta("because")],
        [delta(tool_calls=[{"index": -1}])],
        [delta(tool_calls=[{"index": True}])],
        [delta(tool_calls="look")],
        [{"choices": [{"delta": {}, "logprobs": {"content": [{"token": "a"}]}}]}],
        [{"choices": [{"delta": {}, "logprobs": {"content": [{"token": "a", "logprob": 0, "bytes": [900]}]}}]}],
    ],
)
def test_nonsense_is_named(chunks: list[Any]) -> None:
    with pytest.raises(EndpointFailed, match="there"):
        read(*chunks)


NAMES = [
    *("choices", "delta", "content", "reasoning", "tool_calls", "function", "index", "usage", "limpide", "receipt"),
    *("parameters", "logprobs", "finish_reason", "prompt_tokens", "completion_tokens", "token"),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "reasoning",
                    "tool_calls",
                    "function",
                    "index",
                    "usage",
                    "limpide",
                    "receipt",
                    "parameters",
                    "logprobs",
                    "finish_reason",
                    "prompt_tokens",
                    "completion_tokens",
                    "token",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(chunks=st.lists(JSON, max_size=4))
def test_any_json_is_read_or_named(chunks: list[Any]) -> None:
    try:
        events = read(*chunks)
    except EndpointFailed:
        return
    assert isinstance(events[-1], Finished)
