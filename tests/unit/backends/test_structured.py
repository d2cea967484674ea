"""Answers of a form, over the real engine with models that would rather say something else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_family import SCHEMAS, Schema, check

from limpide.backends.fake import FakeBackend
from limpide.core.answers import collect
from limpide.core.errors import InvalidParameter, InvalidShape
from limpide.core.events import Finished, TextDelta
from limpide.core.messages import Tool, conversation
from limpide.core.ports import Answer, ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.shape import Grammar, JsonObject, JsonSchema, Regex, Shape, ToolChoice
from limpide.core.thinking import Thinking
from limpide.engine.thinking import ThinkingGate
from limpide.text import ThinkingPlan

CITY: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "people": {"type": "integer", "maximum": 99999}},
    "required": ["name", "people"],
    "additionalProperties": False,
}
CHATTER = "Sure! Here is the JSON that you asked for: ```json"

Make = Callable[..., FakeBackend]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[FakeBackend] = []

    def build(reply: Any = CHATTER, **options: Any) -> FakeBackend:
        made.append(FakeBackend(reply, **options))
        return made[-1]

    yield build
    for backend in made:
        backend.engine.check_integrity()
        backend.close()


@pytest.fixture(scope="module")
def chatterbox() -> Iterator[FakeBackend]:
    backend = FakeBackend(CHATTER, model_context=16384)
    yield backend
    backend.close()


def request(shape: Shape | None, think: Any = "off", prompt: str = "Which city?", **sampling: Any) -> ChatRequest:
    return ChatRequest(
        conversation(prompt),
        Sampling(**{"temperature": 1.0, "seed": 7, "max_tokens": 4000, **sampling}),
        Thinking.parse(think),
        shape=shape,
    )


def ask(backend: FakeBackend, shape: Shape | None, think: Any = "off", **sampling: Any) -> Answer:
    [answer] = collect(backend.stream(request(shape, think, **sampling)))
    return answer


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=SCHEMAS, seed=st.integers(0, 1000))
def test_any_schema_is_kept_whatever_the_model_would_say(chatterbox: FakeBackend, schema: Schema, seed: int) -> None:
    answer = ask(chatterbox, JsonSchema(schema), seed=seed)
    assert answer.finished.reason == "stop"
    check(schema, answer.text)


def test_without_a_shape_the_model_says_what_it_likes(make: Make) -> None:
    assert ask(make(), None).text == CHATTER


def test_what_the_model_says_is_kept_where_the_shape_allows_it(make: Make) -> None:
    said = '{"name": "Paris", "people": 2100}'
    assert ask(make(said), JsonSchema(CITY), temperature=0.0).text == said


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        (Regex("(yes|no), [a-z]{3}/[0-9]"), "(yes|no), [a-z]{3}/[0-9]"),
        (Regex("a\\/b\nc"), "a/b\nc"),
        (Grammar('start: sum\nsum: NUMBER ("+" NUMBER)~1..2\nNUMBER: /[0-9]{1,3}/'), r"\d{1,3}(\+\d{1,3}){1,2}"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_other_shapes(make: Make, shape: Shape, pattern: str, seed: int) -> None:
    backend = make()
    assert re.fullmatch(pattern, ask(backend, shape, seed=seed).text, re.DOTALL)
    stream = backend.complete("Well", Sampling(temperature=1.0, seed=seed, max_tokens=4000), shape=shape)
    assert re.fullmatch(pattern, collect(stream)[0].text, re.DOTALL)


def test_json_object_is_one(make: Make) -> None:
    assert isinstance(json.loads(ask(make('{"a": [1, {"b": null}]}'), JsonObject(), temperature=0.0).text), dict)


@pytest.mark.parametrize("think", ["low", 5, "off"])
@pytest.mark.parametrize("dialect", ["think-tags", "think-tags-always", "prompted"])
def test_thinking_is_free_and_the_answer_is_not(make: Make, dialect: str, think: Any) -> None:
    thought = "It { may say: anything} at all"
    answer = ask(make(thinking=thought, dialect=dialect), JsonSchema(CITY), think)
    check(CITY, answer.text)
    if think != "off" and dialect != "prompted":  # the script can't think in prompted steps
        assert thought.startswith(answer.thinking)
        assert len(answer.thinking) == (len(thought) if think == "low" else 5)


def test_a_model_that_opens_its_thinking_itself_may_do_so(make: Make) -> None:
    said = "<think>hm</think>\n\n"

    def script(history: Sequence[int]) -> int:
        written = bytes(token for token in history[-200:] if token < 256).partition(b"?")[2]
        rest = said.encode()[len(written) :]
        return rest[0] if rest else ord("!")

    backend = make(script=script, dialect="think-tags-opened")
    answer = ask(backend, JsonSchema(CITY), "low")
    assert answer.thinking == "hm"
    check(CITY, answer.text)
    assert ask(backend, JsonSchema(CITY), "off").thinking == ""


def test_what_looked_like_an_answer_and_opened_the_thinking_is_none(make: Make) -> None:
    """The opening marker could have been the answer: what comes after the thinking begins the shape anew."""
    said = "<think>hm</think>\n<b>"

    def script(history: Sequence[int]) -> int:
        written = bytes(token for token in history[-200:] if token < 256).partition(b"?")[2]
        rest = said.encode()[len(written) :]
        return rest[0] if rest else ord("!")

    backend = make(script=script, dialect="think-tags-opened")
    answer = ask(backend, Regex("<[a-z]{1,9}>"), "low", temperature=0.0)
    assert (answer.thinking, answer.text, answer.finished.reason) == ("hm", "<b>", "stop")
    assert answer.finished.receipt.parameters["shape"].status == "applied"


def test_a_space_that_the_shape_wants_is_kept(make: Make) -> None:
    """Also by tokenizers that put a space before each text, which detokenizing takes away."""
    backend = make(" yes")
    backend.tokenizer.space_prefix = True
    assert ask(backend, Regex(" (yes|no)"), temperature=0.0).text == " yes"
    assert ask(backend, None, temperature=0.0).text == "yes"


def test_a_turn_that_ends_inside_the_thinking_is_answered(make: Make) -> None:
    backend = make(script=lambda _: 257)  # the end of turn, always
    answer = ask(backend, JsonSchema(CITY), "low")
    check(CITY, answer.text)


def test_a_token_that_ends_the_thinking_and_goes_on_is_not_part_of_the_answer() -> None:
    plan = ThinkingPlan(None, starts_thinking=True, close_marker="Answer:", forced_close="\nAnswer:")
    gate = ThinkingGate(plan, None)
    gate.push("so Answ")
    assert gate.overshoots("er: Sure")
    assert not gate.overshoots("er:")
    assert not gate.overshoots("er:\n")
    assert gate.closing_text() == "er:"


def test_the_turn_ends_when_nothing_can_be_added(make: Make) -> None:
    answer = ask(make(), Regex("yes"))
    assert (answer.text, answer.finished.reason) == ("yes", "stop")
    assert answer.finished.usage.answer_tokens == 3  # and no end of turn was waited for


def test_a_cut_answer_is_said_to_be_cut(make: Make) -> None:
    backend = make()
    whole, cut = ask(backend, JsonSchema(CITY)), ask(backend, JsonSchema(CITY), max_tokens=5)
    assert cut.finished.reason == "length"
    outcome = cut.finished.receipt.parameters["shape"]
    assert (outcome.status, outcome.effective) == ("clamped", "in part")
    assert whole.finished.receipt.parameters["shape"].status == "applied"
    assert outcome.requested == whole.finished.receipt.parameters["shape"].effective
    assert re.fullmatch("[0-9a-f]{64}", outcome.requested["sha256"])


def test_stop_strings_and_abort_end_it_early(make: Make) -> None:
    backend = make()
    stopped = ask(backend, Regex("[ab]{3}STOP[ab]{9}"), stop=("STOP",))
    assert re.fullmatch("[ab]{3}", stopped.text)
    assert stopped.finished.receipt.parameters["shape"].status == "clamped"
    stream = backend.stream(request(Regex("[ab]{500}")))
    next(stream)
    stream.abort()
    events = list(stream)
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "aborted"


def test_log_probabilities_are_those_before_the_mask(make: Make) -> None:
    stream = make().stream(request(Regex("x"), logprobs=1))
    [(probability,)] = [event.logprobs for event in stream if isinstance(event, TextDelta)]
    assert probability.text == "x"
    assert probability.logprob < -20  # the model was certain of something else
    assert probability.top[0].text == CHATTER[0]


def test_penalties_and_bias_choose_among_what_is_allowed(make: Make) -> None:
    backend = make()
    biased = ask(backend, Regex("[abc]{20}"), logit_bias={ord("b"): 50.0, ord("S"): 100.0})
    assert biased.text == "b" * 20
    spread = ask(backend, Regex("[abc]{3}"), temperature=0.0, presence_penalty=2.0)
    assert sorted(spread.text) == ["a", "b", "c"]
    few = ask(backend, Regex("[0-9]{40}"), top_k=2)
    assert set(few.text) <= {"0", "1"}  # of equal tokens the first ones, counted among what is allowed


def test_several_choices_keep_their_own_places(make: Make) -> None:
    answers = collect(make().stream(request(JsonSchema(CITY), n=4)))
    for answer in answers:
        check(CITY, answer.text)
    assert len({answer.text for answer in answers}) == 4


def test_the_same_alone_and_among_strangers(make: Make) -> None:
    shapes = [JsonSchema(CITY), None, Regex("[a-z]{99}"), JsonObject(), Regex("[é-ü]{50}d")]
    alone = [ask(make(), shape, seed=number, max_tokens=120).text for number, shape in enumerate(shapes)]
    # Room for little more than one of them: they are preempted, and prompts come in pieces.
    backend = make(cache_bytes=13 * 128, token_budget=7, max_batch=5, model_context=208)
    streams = [backend.stream(request(shape, seed=n, max_tokens=120)) for n, shape in enumerate(shapes)]
    together = [collect(stream)[0].text for stream in streams]
    assert backend.engine.scheduler.num_preemptions > 0
    assert together == alone


def test_a_shape_that_turns_out_too_costly_ends_its_own_request_alone(make: Make) -> None:
    backend = make()
    many = json.dumps({"type": "object", "properties": {f"p{i}": {} for i in range(4000)}})
    costly = backend.stream(request(Grammar(f"start: %json {many}")))
    fine = backend.stream(request(JsonSchema(CITY), seed=3))
    # A machine that is busy with other things may give it up sooner.
    with pytest.raises(InvalidShape, match=r"any further|more than"):
        collect(costly)
    check(CITY, collect(fine)[0].text)


HOSTILE: dict[str, tuple[Shape, str]] = {
    "deep": (JsonSchema(json.loads('{"items":' * 70 + "{}" + "}" * 70)), "nested deeper"),
    "large": (JsonSchema({"enum": ["x" * 1000] * 300}), "characters"),
    "many ways": (JsonSchema({"properties": {f"p{i}": {} for i in range(500)}}), "500 properties"),
    "remote": (JsonSchema({"items": {"$ref": "http://example.org/s"}}), "#/items: .* is not local"),
    "file": (JsonSchema({"$ref": "file:///etc/passwd"}), "not local"),
    "loop": (JsonSchema({"$ref": "#"}), "nothing can satisfy it"),
    "long loop": (
        JsonSchema({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        "nothing can satisfy it",
    ),
    "intersections": (
        JsonSchema({"allOf": [{"type": "string", "pattern": f".*a.{{{i}}}b.*"} for i in range(30)]}),
        "takes more than|memory",
    ),
    "keyword": (JsonSchema({"properties": {"a": {"items": {"uniqueItems": True}}}}), "#/properties/a/items: .*unique"),
    "never": (JsonSchema({"properties": {"a": False}, "required": ["a"], "type": "object"}), "#"),
    "look-ahead": (Regex("a(?=b)"), "look-ahead"),
    "unclosed": (Regex("(a"), "unclosed"),
    "no grammar": (Grammar("start: ("), "start|expected|1"),
    "long pattern": (Regex("a" * 70000), "70000 characters"),
    "options": (JsonSchema({"x-guidance": {"lenient": True}, "not": {}}), "x-guidance"),
    "no schema": (JsonSchema(["a"]), "list"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(20)
def test_what_can_not_be_enforced_is_refused_by_name(chatterbox: FakeBackend, name: str) -> None:
    shape, why = HOSTILE[name]
    with pytest.raises(InvalidShape, match=why):
        chatterbox.stream(request(shape))
    assert not chatterbox.engine.has_work


def test_large_honest_schemas_are_taken(chatterbox: FakeBackend) -> None:
    schema = {"properties": {f"p{i}": {"type": "boolean"} for i in range(400)}, "type": "object"}
    schema = {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema", "additionalProperties": False}
    check(schema, ask(chatterbox, JsonSchema(schema), max_tokens=10000).text)


def test_the_grammar_can_not_write_special_tokens(make: Make) -> None:
    for seed in range(5):
        answer = ask(make(lambda _: "\x00"), Regex("(?s:.{40})"), seed=seed)
        assert len(answer.text) == 40  # no token of it was hidden


WEATHER = Tool("weather", "tells it", {"type": "object", "properties": {"city": {"type": "string"}}})


def test_a_call_or_an_answer_of_the_shape(make: Make) -> None:
    def ask_with_tools(reply: str) -> Answer:
        given = request(JsonSchema(CITY), temperature=0.0)
        return collect(make(reply).stream(replace(given, tools=(WEATHER,))))[0]

    call = ask_with_tools('<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>')
    assert [(c.name, json.loads(c.arguments)) for c in call.tool_calls] == [("weather", {"city": "Oslo"})]
    assert (call.text, call.finished.reason) == ("", "tool_calls")
    check(CITY, ask_with_tools('{"name": "Oslo", "people": 7}').text)


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        (ToolChoice("required"), ()),
        (ToolChoice("required", name="nobody"), (WEATHER,)),
        (ToolChoice("auto", name="weather"), (WEATHER,)),
        (ToolChoice(strict=frozenset({"nobody"})), (WEATHER,)),
    ],
)
def test_choices_that_fit_no_tool(make: Make, choice: ToolChoice, tools: tuple[Tool, ...]) -> None:
    with pytest.raises(InvalidParameter, match="tool_choice"):
        make().stream(ChatRequest(conversation("x"), tools=tools, tool_choice=choice))
