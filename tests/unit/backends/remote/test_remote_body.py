"""What is sent is read by our own server as what was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.backends.remote.body import chat_body, completion_body
from limpide.core.errors import InvalidParameter
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.shape import Grammar, JsonObject, JsonSchema, Regex, ToolChoice
from limpide.core.thinking import Effort, Thinking
from limpide.server.wire.chat_request import ChatCompletionRequest, read_chat
from limpide.server.wire.completion_request import CompletionRequest, read_completion

HELLO = Message("user", "hello")
TOOLS = (Tool("look", "looks", {"type": "object", "properties": {}}), Tool("buy", "", {"type": "object"}))
TURNS = (
    Message("system", "be brief"),
    HELLO,
    Message("assistant", "", "hm", (ToolCall("call_1", "look", '{"a": 1}'),)),
    Message("tool", "42", tool_call_id="call_1"),
    Message("assistant", "there", None),
    Message("user", "and now?"),
)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(0, 99),
    min_p=st.floats(0, 1),
    repetition_penalty=st.floats(0.5, 2),
    frequency_penalty=st.floats(-2, 2),
    presence_penalty=st.floats(-2, 2),
    logit_bias=st.dictionaries(st.integers(0, 9), st.floats(-100, 100), max_size=2),
    stop=st.lists(st.text("abc", min_size=1), max_size=3).map(tuple),
    max_tokens=st.none() | st.integers(1, 99),
    seed=st.none() | st.integers(0, 2**63 - 1),
    logprobs=st.none() | st.integers(0, 20),
    ignore_eos=st.booleans(),
)
SHAPES = [None, JsonObject(), JsonSchema({"type": "object"}, "person"), Regex("a|b"), Grammar("start: /a/")]
CHOICES = [
    ToolChoice(),
    ToolChoice("none", parallel=False),
    ToolChoice("required"),
    ToolChoice("required", "buy", strict=frozenset({"buy"})),
]
DIALS = [Thinking.parse(word) for word in (*Effort, 17, 0)]


def understood(request: ChatRequest) -> ChatRequest:
    body = chat_body(request, "m", limpide=True)
    assert not body.outcomes
    return read_chat(ChatCompletionRequest.model_validate(dict(body.fields)), "high")[0]


@given(sampling=SAMPLINGS, shape=st.sampled_from(SHAPES), thinking=st.sampled_from(DIALS))
def test_every_parameter_arrives(sampling: Sampling, shape: Any, thinking: Thinking) -> None:
    request = ChatRequest(TURNS, sampling, thinking, shape=shape)
    read = understood(request)
    assert replace(read, thinking=thinking) == request
    assert read.thinking.budget == thinking.budget


@pytest.mark.parametrize("choice", CHOICES)
def test_tools_arrive(choice: ToolChoice) -> None:
    request = ChatRequest((HELLO,), tools=TOOLS, tool_choice=choice)
    assert understood(request) == request


def test_several_answers_are_asked_for_one_by_one() -> None:
    with pytest.raises(InvalidParameter):
        chat_body(ChatRequest((HELLO,), Sampling(n=2)), "m", limpide=True)


@given(sampling=SAMPLINGS)
def test_raw_text_arrives(sampling: Sampling) -> None:
    body = completion_body("once", sampling, None, "m", limit=99)
    read, shape, _ = read_completion(CompletionRequest.model_validate(dict(body.fields)))
    assert shape is None
    assert read == replace(sampling, max_tokens=sampling.max_tokens or 99)


class TestStrangers:
    """Endpoints that know what OpenAI's dialect has, and no more."""

    def test_names_of_the_dial_go_as_they_are(self) -> None:
        body = chat_body(ChatRequest((HELLO,), thinking=Thinking.parse("low")), "m", limpide=False)
        assert body.fields["reasoning_effort"] == "low"
        assert not body.outcomes

    def test_off_is_left_out_and_said(self) -> None:
        body = chat_body(ChatRequest((HELLO,)), "m", limpide=False)
        assert "reasoning_effort" not in body.fields
        assert body.outcomes["think"].status == "refused"

    def test_max_is_clamped_and_said(self) -> None:
        body = chat_body(ChatRequest((HELLO,), thinking=Thinking.parse("max")), "m", limpide=False)
        assert body.fields["reasoning_effort"] == "high"
        assert body.outcomes["think"].status == "clamped"

    @pytest.mark.parametrize(
        "request_",
        [
            ChatRequest((HELLO,), thinking=Thinking.parse(17)),
            ChatRequest((HELLO,), shape=Regex("a")),
            ChatRequest((HELLO,), shape=Grammar("start: /a/")),
        ],
    )
    def test_what_has_no_field_is_refused(self, request_: ChatRequest) -> None:
        with pytest.raises(InvalidParameter):
            chat_body(request_, "m", limpide=False)

    def test_what_is_not_asked_for_is_not_sent(self) -> None:
        """A stranger may refuse a field that it does not know."""
        body = chat_body(ChatRequest((HELLO,)), "m", limpide=False)
        assert body.fields.keys() == {"model", "messages", "temperature", "top_p", "stream", "stream_options"}
