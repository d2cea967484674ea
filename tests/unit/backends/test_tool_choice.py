"""Whether calls come, which and how, in every family's format, from models that would rather not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from dialect_families import CALLS, FAMILIES, Family

from limpide.core.answers import collect
from limpide.core.errors import InvalidShape
from limpide.core.messages import Tool, conversation
from limpide.core.ports import Answer, ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.shape import JsonSchema, ToolChoice
from limpide.core.thinking import Thinking
from limpide.text.tools.grammars import CALL_SYNTAX, MAX_CALLS
from limpide.text.tools.registry import TOOL_DIALECTS

SHORT = {"type": "string", "maxLength": 5}
BOOK = Tool(
    "book",
    "books a room",
    {
        "type": "object",
        "properties": {
            "city": {"enum": ["Łódź", 'Saint "Denis"']},
            "note": {"type": "string", "maxLength": 9},
            "nights": {"type": "integer", "minimum": 1, "maximum": 9},
            "rooms": {"type": "array", "items": {"type": "boolean"}},
            "who": {
                "type": "object",
                "properties": {"first": SHORT, "last": {**SHORT, "type": ["string", "null"]}},
                "required": ["last"],
                "additionalProperties": False,
            },
        },
        "required": ["city", "nights", "who"],
        "additionalProperties": False,
    },
)
CANCEL = Tool("cancel", "cancels", {"type": "object", "properties": {}, "additionalProperties": False})
CHATTER = "I would rather not."
TOOLS = {tool.name: tool for tool in (BOOK, CANCEL)}
CALLING = [family for family in FAMILIES if family.tool_dialect]

families = pytest.mark.parametrize("family", CALLING, ids=lambda family: family.name)


def ask(family: Family, choice: ToolChoice, body: str = CHATTER, *, think: Any = "off", **given: Any) -> Answer:
    backend = family.backend(body, model_context=16384)
    sampling = Sampling(temperature=1.0, seed=given.pop("seed", 1), max_tokens=1500)
    request = ChatRequest(
        conversation("Hello?"),
        sampling,
        Thinking.parse(think),
        **{"tools": tuple(TOOLS.values()), "tool_choice": choice, **given},
    )
    try:
        [answer] = collect(backend.stream(request))
    finally:
        backend.close()
    return answer


def check_calls(answer: Answer) -> list[str]:
    for call in answer.tool_calls:
        assert jsonschema_rs.is_valid(TOOLS[call.name].parameters, json.loads(call.arguments)), call
    assert answer.finished.reason == "tool_calls"
    assert answer.finished.receipt.parameters["tools"].status == "applied"  # no call was malformed
    return [call.name for call in answer.tool_calls]


def test_every_dialect_has_a_grammar() -> None:
    assert CALL_SYNTAX.keys() == TOOL_DIALECTS.keys()


@families
@pytest.mark.parametrize("think", ["off", "low"])
def test_required_calls_come_and_fit_their_schemas(family: Family, think: str) -> None:
    for seed in range(3):
        answer = ask(family, ToolChoice("required", parallel=False), think=think, seed=seed)
        assert len(check_calls(answer)) == 1
        assert answer.text == ""
        assert bool(answer.thinking) == (think == "low")


@families
def test_the_named_tool_is_called_and_no_other(family: Family) -> None:
    for seed in range(4):
        assert set(check_calls(ask(family, ToolChoice("required", name="cancel"), seed=seed))) == {"cancel"}


@families
def test_several_calls_where_the_format_has_them(family: Family) -> None:
    counts = [len(check_calls(ask(family, ToolChoice("required", name="cancel"), seed=seed))) for seed in range(8)]
    one = TOOL_DIALECTS[family.tool_dialect or ""].one_call_a_turn
    assert max(counts) == 1 if one else 1 < max(counts) <= MAX_CALLS


@families
def test_with_none_no_call_can_begin(family: Family) -> None:
    assert family.calls is not None
    written = family.calls(CALLS)
    answer = ask(family, ToolChoice("none"), written)
    assert answer.tool_calls == ()
    assert written[:12] not in answer.text
    assert answer.finished.receipt.parameters["tool_choice"].status == "applied"
    assert len(ask(family, ToolChoice(), written, tools=WRITTEN).tool_calls) == len(CALLS)  # it would have called


WRITTEN = tuple(Tool(name, "", {"type": "object"}) for name, _ in CALLS)


@families
def test_strict_arguments_follow_their_schema_after_free_text(family: Family) -> None:
    assert family.calls is not None
    wrong = family.calls([("book", {"city": "Berlin", "nights": 0}), ("book", {})])
    spoken = family.answers("One moment.") if family.tool_dialect != "harmony" else ""
    said = wrong if family.tool_dialect == "llama" else spoken + wrong
    answer = ask(family, ToolChoice(strict=frozenset({"book"}), parallel=False), said)
    assert check_calls(answer) == ["book"]
    loose = ask(family, ToolChoice(), said)
    assert '"Berlin"' in loose.tool_calls[0].arguments  # without strict it is as the model wrote it


@families
def test_a_model_that_may_answer_may(family: Family) -> None:
    answer = ask(family, ToolChoice(strict=frozenset({"book"})), family.answers("Paris, of course."))
    assert (answer.text, answer.tool_calls) == ("Paris, of course.", ())


@families
@pytest.mark.parametrize("think", ["off", "low"])
def test_a_call_or_the_shape(family: Family, think: str) -> None:
    shape = JsonSchema({"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]} | CLOSED)
    seen = set()
    for seed in range(8):
        choice = ToolChoice(parallel=False, strict=frozenset(TOOLS))
        answer = ask(family, choice, shape=shape, think=think, seed=seed)
        if answer.tool_calls:
            assert answer.text == ""
            seen.add(answer.tool_calls[0].name)
        else:
            assert json.loads(answer.text) == {"ok": True}
            seen.add("")
    assert "" in seen  # who walks at random through the grammar sometimes answers


CLOSED = {"additionalProperties": False}


@families
def test_a_schema_that_can_not_be_enforced_binds_strict_tools_only(family: Family) -> None:
    odd = replace(CANCEL, parameters={"type": "object", "properties": {"a": {"not": {}}}})
    assert family.calls is not None
    written = family.calls([("cancel", {"b": 1})])
    answer = ask(family, ToolChoice("required", parallel=False), written, tools=(odd,))
    assert "any arguments" in str(answer.finished.receipt.parameters["tool_choice"].why)
    assert isinstance(json.loads(answer.tool_calls[0].arguments), dict)
    with pytest.raises(InvalidShape, match="'cancel' can't be enforced at #/properties/a"):
        ask(family, ToolChoice(strict=frozenset({"cancel"})), tools=(odd,))


def test_names_that_look_like_structure_stay_names() -> None:
    [qwen] = [family for family in CALLING if family.name == "qwen3"]
    odd = Tool('a"b</tool_call>', "", CANCEL.parameters)
    answer = ask(qwen, ToolChoice("required", parallel=False), tools=(odd,))
    assert [call.name for call in answer.tool_calls] == [odd.name]


@pytest.mark.parametrize("shape", [None, JsonSchema({"type": "object"})])
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice(strict=frozenset({"book"}))])
def test_a_grammar_that_fails_names_what_it_was_made_for(shape: JsonSchema | None, choice: ToolChoice) -> None:
    backend = CALLING[0].backend(CHATTER, model_context=16384)
    request = ChatRequest(conversation("Hello?"), tools=(BOOK,), tool_choice=choice, shape=shape)
    prepared = backend.prepare(request)
    assert prepared.grammar is not None
    # Where a call is required, the shape has no part in the grammar.
    cause = "shape" if shape and choice.mode == "auto" else "tools"
    assert prepared.grammar.parameter == cause
    many = json.dumps({"type": "object", "properties": {f"p{i}": {} for i in range(4000)}})
    for text, told in (("start: (", "can't be enforced"), (f"start: %json {many}", "any further")):
        with pytest.raises(InvalidShape, match=told) as caught:
            collect(backend.engine.submit(replace(prepared, grammar=replace(prepared.grammar, text=text))))
        assert caught.value.parameter == cause
        assert ("tool calls" in str(caught.value)) == (cause == "tools")
