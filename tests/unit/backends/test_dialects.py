"""Golden conversations: each family's format through the real engine, with a model whose words are known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from dialect_families import ADD, ANSWER, CALLS, FAMILIES, THOUGHT, WEATHER, Family, Written

from limpide.backends.fake import FakeBackend
from limpide.core.answers import collect
from limpide.core.events import Event, TextDelta, ThinkingDelta, ToolCallDelta
from limpide.core.messages import Tool, conversation
from limpide.core.ports import Answer, ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Capability, Thinking
from limpide.text import dialect_for

BY_NAME = {family.name: family for family in FAMILIES}
CALLING = [family for family in FAMILIES if family.calls]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
STREAMING = [family for family in CALLING if family.tool_dialect not in ("qwen-xml", "gemma")]
each_streamer = pytest.mark.parametrize("family", STREAMING, ids=lambda family: family.name)
"""Of dialects whose arguments are JSON as they stand."""
each_caller = pytest.mark.parametrize("family", CALLING, ids=lambda family: family.name)


def ask(
    family: Family,
    body: str,
    think: Any = "off",
    tools: Iterable[Tool] = (),
    *,
    thought: str = THOUGHT,
    **sampling: Any,
) -> Answer:
    return run(family.backend(body, thought=thought), think, tools, **sampling)


def run(backend: FakeBackend, think: Any = "off", tools: Iterable[Tool] = (), **sampling: Any) -> Answer:
    sampling = {"max_tokens": 700, "seed": 1, **sampling}
    try:
        asked = conversation("What is the capital of France?")
        request = ChatRequest(asked, Sampling(**sampling), Thinking.parse(think), tuple(tools))
        events: list[Event] = list(backend.stream(request))
        backend.engine.check_integrity()
        [answer] = collect(events)
        return answer
    finally:
        backend.close()


def stream(family: Family, body: str, tools: Iterable[Tool] = (WEATHER, ADD)) -> list[Event]:
    backend = family.backend(body)
    try:
        asked = conversation("What is the capital of France?")
        return list(backend.stream(ChatRequest(asked, Sampling(max_tokens=700), Thinking.parse("off"), tuple(tools))))
    finally:
        backend.close()


def cut_off(family: Family, written: str, calls: Written = CALLS[:1]) -> Answer:
    """Calls of which no more is written than this."""
    assert family.calls
    backend = family.backend(family.calls(calls))
    return run(backend, "off", [WEATHER, ADD], max_tokens=len(backend.tokenizer.encode(written, special=True)))


def called(answer: Answer) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in answer.tool_calls]


@each_family
def test_thinking_on(family: Family) -> None:
    answer = ask(family, family.answers(ANSWER), "low")
    assert (answer.thinking.strip(), answer.text, answer.finished.reason) == (THOUGHT, ANSWER, "stop")
    assert not answer.finished.usage.thinking_truncated
    assert answer.finished.stop is None


@each_family
def test_thinking_off(family: Family) -> None:
    answer = ask(family, family.answers(ANSWER), "off")
    assert (answer.thinking, answer.text, answer.finished.reason) == ("", ANSWER, "stop")
    why = answer.finished.receipt.parameters["think"].why or ""
    assert ("emulated" in why) == (dialect_for(family.dialect).capability is Capability.ALWAYS)


@each_family
@pytest.mark.parametrize("budget", [1, 5, len(THOUGHT) - 1, len(THOUGHT) + 1])
def test_budget_reached(family: Family, budget: int) -> None:
    answer = ask(family, family.answers(ANSWER), budget)
    assert answer.thinking.strip() == THOUGHT[:budget].strip()
    assert (answer.text, answer.finished.reason) == (ANSWER, "stop")
    assert answer.finished.receipt.parameters["think"].effective == budget
    if budget < len(THOUGHT):
        assert answer.finished.usage.thinking_truncated


@pytest.mark.parametrize(
    "family",
    [f for f in FAMILIES if dialect_for(f.dialect).capability is not Capability.PROMPTED],
    ids=lambda family: family.name,
)
def test_thinking_that_comes_unasked_is_closed_at_once(family: Family) -> None:
    """The switch is enforced, not hoped for."""
    written_for_it = family.backend("")
    tools = (WEATHER,) if family.dialect == "harmony" else ()
    request = ChatRequest(conversation("What is the capital of France?"), tools=tools)
    prompt = written_for_it.tokenizer.decode(written_for_it.prepare(request).prompt, special=True)
    written_for_it.close()
    opened = prompt.partition(family.start)[2]

    def says(written: str) -> str:
        new = written.removeprefix(opened)
        thought, answer = family.thinks(THOUGHT), family.answers(ANSWER) + family.end
        if thought.startswith(new):
            return thought[len(new) :]
        after = new.rpartition(family.close)[2]
        return answer.removeprefix(after if answer.startswith(after) else after.lstrip())

    answer = run(family.backend("", says=says), "off", tools)
    assert (answer.thinking.strip(), answer.text) == ("", ANSWER)
    assert answer.finished.usage.thinking_truncated


@each_caller
def test_tool_call(family: Family) -> None:
    assert family.calls
    answer = ask(family, family.calls(CALLS[:1]), "off", [WEATHER, ADD])
    assert called(answer) == [CALLS[0]]
    assert (answer.text, answer.thinking, answer.finished.reason) == ("", "", "tool_calls")
    outcome = answer.finished.receipt.parameters["tools"]
    assert (outcome.status, outcome.requested, outcome.effective) == ("applied", ["weather", "add"], "1 call")


@each_caller
def test_parallel_tool_calls(family: Family) -> None:
    assert family.calls
    answer = ask(family, family.calls(CALLS), "off", [WEATHER, ADD])
    assert called(answer) == list(CALLS)
    assert (answer.text, answer.finished.reason) == ("", "tool_calls")
    ids = [call.id for call in answer.tool_calls]
    assert len(set(ids)) == 2
    assert all(len(i) == 9 and i.isalnum() for i in ids)
    again = ask(family, family.calls(CALLS), "off", [WEATHER, ADD])
    assert ids == [call.id for call in again.tool_calls]
    other = ask(family, family.calls(CALLS), "off", [WEATHER, ADD], seed=2)
    assert not set(ids) & {call.id for call in other.tool_calls}


@each_caller
@pytest.mark.parametrize("think", ["low", 5])
def test_tool_call_after_thinking(family: Family, think: Any) -> None:
    """Also when the budget ended it; what looks like a call inside the thinking is none."""
    assert family.calls
    thought = f"{THOUGHT} {family.broken if family.dialect != 'harmony' else ''}"
    answer = ask(family, family.calls(CALLS), think, [WEATHER, ADD], thought=thought)
    assert called(answer) == list(CALLS)
    assert answer.thinking.strip() == (thought[:5] if think == 5 else thought).strip()
    assert (answer.text, answer.finished.reason) == ("", "tool_calls")
    assert answer.finished.receipt.parameters["tools"].status == "applied"


@each_caller
@pytest.mark.parametrize("think", ["off", "low", 5])
def test_every_sampled_token_has_its_logprob(family: Family, think: Any) -> None:
    """On its own side, in order, and none lost: those of a call come with the text around it."""
    assert family.calls
    backend = family.backend(family.calls(CALLS))
    request = ChatRequest(
        conversation("What is the capital of France?"),
        Sampling(logprobs=0, max_tokens=700),
        Thinking.parse(think),
        (WEATHER, ADD),
    )
    try:
        events: list[Event] = list(backend.stream(request))
        closing = len(backend.tokenizer.encode(dialect_for(family.dialect).forced_close, special=True))
    finally:
        backend.close()
    [answer] = collect(events)
    thoughts = [p for e in events if isinstance(e, ThinkingDelta) for p in e.logprobs]
    answers = [p for e in events if isinstance(e, TextDelta) for p in e.logprobs]
    usage = answer.finished.usage
    assert len(thoughts) == usage.thinking_tokens - (closing if usage.thinking_truncated else 0)
    end = 1 if family.ends != () else 0  # a token that ends the turn is none of the text
    between = usage.answer_tokens - end - len(answers)  # blanks after the thinking, which nobody is shown
    assert between == 0 or (think == "low" and between == len("\n\n"))
    assert family.calls(CALLS).encode() in b"".join(p.raw for p in answers)


@each_caller
def test_text_before_a_call(family: Family) -> None:
    if family.tool_dialect == "llama":
        return  # its calls are the whole answer
    assert family.calls
    before = family.answers("Let me look.")
    between = "<|end|><|start|>assistant" if family.dialect == "harmony" else "\n\n"
    answer = ask(family, before + between + family.calls(CALLS[:1]), "off", [WEATHER])
    assert (answer.text, called(answer)) == ("Let me look.", [CALLS[0]])


@each_caller
def test_a_malformed_call_is_text_and_said_so(family: Family) -> None:
    answer = ask(family, family.broken, "off", [WEATHER])
    assert answer.tool_calls == ()
    assert family.broken in answer.text
    assert answer.finished.reason == "stop"
    outcome = answer.finished.receipt.parameters["tools"]
    assert (outcome.status, outcome.effective) == ("clamped", "no calls")
    assert "left in the text" in (outcome.why or "")


@each_caller
def test_a_call_that_is_cut_off_before_its_arguments_is_text(family: Family) -> None:
    assert family.calls
    answer = cut_off(family, family.calls(CALLS[:1]).partition("city")[0][:-2])
    assert answer.tool_calls == ()
    assert answer.finished.reason == "length"


@each_streamer
def test_arguments_come_while_they_are_written(family: Family) -> None:
    """First the name and the id, then the text of the arguments, exactly as the model writes it."""
    assert family.calls
    deltas = [event for event in stream(family, family.calls(CALLS)) if isinstance(event, ToolCallDelta)]
    for number, (name, arguments) in enumerate(CALLS):
        first, *rest = [delta for delta in deltas if delta.call == number]
        assert (first.name, len(first.id or "")) == (name, 9)
        assert [(delta.id, delta.name) for delta in rest] == [(None, None)] * len(rest)
        assert len(rest) > 10
        assert first.arguments + "".join(delta.arguments for delta in rest) == json.dumps(arguments)


@each_streamer
def test_a_call_that_is_cut_off_in_its_arguments_keeps_what_was_said(family: Family) -> None:
    assert family.calls
    answer = cut_off(family, family.calls(CALLS[:1]).partition("41")[0])
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("weather", '{"city": "\\u01')]
    assert (answer.text, answer.finished.reason) == ("", "length")
    outcome = answer.finished.receipt.parameters["tools"]
    assert (outcome.status, outcome.effective) == ("clamped", "1 call")
    assert "weather: it is no JSON" in (outcome.why or "")


@each_streamer
def test_arguments_that_end_malformed_are_said_so_and_the_next_call_is_read(family: Family) -> None:
    assert family.calls
    body = family.calls(CALLS[::-1]).replace('"b": 2', '"b": two')
    answer = ask(family, body, "off", [WEATHER, ADD])
    assert answer.tool_calls[0].arguments == '{"a": 1, "b": two}'
    assert [call.name for call in answer.tool_calls] == ["add", "weather"]
    assert json.loads(answer.tool_calls[1].arguments) == CALLS[0][1]
    assert (answer.text, answer.finished.reason) == ("", "tool_calls")
    outcome = answer.finished.receipt.parameters["tools"]
    assert outcome.status == "clamped"
    assert "add: it is no JSON" in (outcome.why or "")


@pytest.mark.parametrize("family", [f for f in CALLING if f not in STREAMING], ids=lambda family: family.name)
def test_other_arguments_come_one_by_one(family: Family) -> None:
    assert family.calls
    deltas = [event for event in stream(family, family.calls(CALLS)) if isinstance(event, ToolCallDelta)]
    assert [(delta.call, delta.name, delta.arguments) for delta in deltas if delta.call == 1] == [
        (1, "add", ""),
        (1, None, '{"a": 1'),
        (1, None, ', "b": 2'),
        (1, None, "}"),
    ]
    answer = cut_off(family, family.calls(CALLS[1:]).partition("b")[0], CALLS[1:])
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("add", '{"a": 1')]
    assert answer.finished.reason == "length"
    assert "add: it is no JSON" in (answer.finished.receipt.parameters["tools"].why or "")


@each_caller
def test_a_tool_that_was_not_offered_is_told_of_at_the_end(family: Family) -> None:
    """Whether it is a call at all is known only then."""
    assert family.calls
    events = stream(family, family.calls(CALLS[:1]), [ADD])
    if family.tool_dialect == "llama":
        assert not any(isinstance(event, ToolCallDelta) for event in events)
    else:
        [delta] = [event for event in events if isinstance(event, ToolCallDelta)]
        assert (delta.name, json.loads(delta.arguments)) == CALLS[0]


@each_caller
def test_without_tools_nothing_is_taken_for_a_call(family: Family) -> None:
    assert family.calls
    answer = ask(family, family.calls(CALLS[:1]), "off")
    assert answer.tool_calls == ()
    assert answer.text
    assert "tools" not in answer.finished.receipt.parameters


@each_caller
def test_the_receipt_says_whether_tools_are_native(family: Family) -> None:
    why = ask(family, family.answers(ANSWER), "off", [WEATHER]).finished.receipt.parameters["tools"].why or ""
    assert ("not native" in why) == (not family.native)


class TestReka:
    def test_the_turn_ends_at_a_string(self) -> None:
        answer = ask(BY_NAME["reka"], "4 < 5 <se>", "off")
        assert (answer.text, answer.finished.reason, answer.finished.stop) == ("4 < 5 <se>", "stop", None)

    def test_also_inside_the_thinking(self) -> None:
        answer = ask(BY_NAME["reka"], ANSWER, "low", thought="hm <sep> human: and now?")
        assert (answer.thinking, answer.text, answer.finished.reason) == ("hm ", "", "stop")


class TestHarmony:
    family = BY_NAME["gpt-oss"]

    def test_thinking_may_come_back_after_a_preamble(self) -> None:
        body = (
            "<|channel|>commentary<|message|>Let me see. <|end|><|start|>assistant"
            "<|channel|>analysis<|message|>hm again<|end|><|start|>assistant<|channel|>final<|message|>Paris."
        )
        answer = ask(self.family, body, "low")
        assert (answer.thinking, answer.text) == (f"{THOUGHT}hm again", "Let me see. Paris.")

    def test_thinking_again_after_the_budget_is_closed_for_good(self) -> None:
        def says(written: str) -> str:
            messages = written.split("<|start|>assistant")
            if len(messages) == 1:
                return "x"
            if len(messages) == 2:
                return "<|channel|>analysis<|message|>but".removeprefix(messages[1])
            return f"<|channel|>final<|message|>{ANSWER}<|return|>".removeprefix(messages[2])

        answer = run(self.family.backend("", says=says), 9, [WEATHER])
        assert (answer.thinking, answer.text) == ("x" * 9, ANSWER)
        assert answer.finished.usage.thinking_truncated

    def test_an_end_of_message_is_no_end_of_turn(self) -> None:
        answer = ask(self.family, self.family.answers(ANSWER), "max")
        assert answer.text == ANSWER

    def test_a_header_that_is_none_is_text(self) -> None:
        assert ask(self.family, "Paris, without any channel.", "low", thought="").text == "Paris, without any channel."
