"""Schemas as pydantic writes them, Optional and nested ones, in notations whose values are not JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from test_dialects import BY_NAME
from test_tool_choice import ask

from limpide.core.errors import InvalidShape
from limpide.core.messages import Tool
from limpide.core.shape import ToolChoice

WRITTEN = "<tool_call>\n<function=f>\n<parameter=a>\nVALUE\n</parameter>\n</function>\n</tool_call>"
STRING = {"type": "string", "maxLength": 4}
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "who": {"anyOf": [STRING, {"type": "null"}], "default": None, "title": "Who"},
        "count": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 3}, {"type": "null"}]},
        "tags": {"anyOf": [STRING, {"type": "array", "items": {"type": "integer", "maximum": 9}, "maxItems": 2}]},
        "colour": {"$ref": "#/$defs/Colour"},
        "size": {"allOf": [{"$ref": "#/$defs/Size"}]},
        "at": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]},
        "state": {"enum": ["on", None]},
    },
    "required": ["who", "count", "tags", "colour", "size", "at", "state"],
    "additionalProperties": False,
    "$defs": {
        "Colour": {"enum": ["red", "blue"], "type": "string"},
        "Size": {"enum": [1, 2], "type": "integer"},
        "Point": {
            "type": "object",
            "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 9}},
            "required": ["x"],
            "additionalProperties": False,
        },
    },
}


def without_lists(parameters: dict[str, Any]) -> dict[str, Any]:
    """Gemma's grammar can't count the items of a list."""
    tags = {"anyOf": [STRING, {"type": "boolean"}]}
    return {**parameters, "properties": {**parameters["properties"], "tags": tags}}


def arguments(name: str, parameters: dict[str, Any], *, seed: int = 1, strict: bool = True) -> Any:
    """What a model writes that walks at random through the grammar."""
    tool = Tool("f", "", parameters)
    choice = ToolChoice("required", parallel=False, strict=frozenset({"f"} if strict else ()))
    answer = ask(BY_NAME[name], choice, tools=(tool,), seed=seed)
    outcome = answer.finished.receipt.parameters["tool_choice"]
    assert (outcome.status, outcome.why) == ("applied", None)
    [call] = answer.tool_calls
    return json.loads(call.arguments)


@pytest.mark.parametrize("name", ["qwen3.5", "gemma-4"])
def test_all_that_the_schema_asks_for_is_held_to(name: str) -> None:
    parameters = PARAMETERS if name == "qwen3.5" else without_lists(PARAMETERS)
    seen = []
    for seed in range(10):
        found = arguments(name, parameters, seed=seed)
        assert jsonschema_rs.is_valid(parameters, found), found
        seen.append(found)
    assert len({type(each["at"]) for each in seen}) == 2  # both of what is allowed come


def test_a_bare_string_can_not_look_like_another_value_or_like_the_end() -> None:
    """The reader would take it for a list, or for the end of its argument."""
    text = {"anyOf": [{"type": "string", "maxLength": 40}, {"type": "array", "items": {"type": "integer"}}]}
    tool = Tool("f", "", {"type": "object", "properties": {"a": text}, "required": ["a"]})
    qwen = BY_NAME["qwen3.5"]
    choice = ToolChoice(parallel=False, strict=frozenset({"f"}))
    for wrong in ('["a"]', "a</parameter>b", "a</function>b"):
        answer = ask(qwen, choice, WRITTEN.replace("VALUE", wrong), tools=(tool,))
        [call] = answer.tool_calls
        assert jsonschema_rs.is_valid(tool.parameters, json.loads(call.arguments)), call
        assert answer.finished.receipt.parameters["tools"].status == "applied"


@pytest.mark.parametrize(("written", "value"), [("null", None), ("[1, 2]", [1, 2]), ("12", "12"), ("a\nb", "a\nb")])
def test_what_fits_is_written_as_it_is(written: str, value: object) -> None:
    kinds = [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}, {"type": "null"}]
    tool = Tool("f", "", {"type": "object", "properties": {"a": {"anyOf": kinds}}, "required": ["a"]})
    choice = ToolChoice(parallel=False, strict=frozenset({"f"}))
    answer = ask(BY_NAME["qwen3.5"], choice, WRITTEN.replace("VALUE", written), tools=(tool,))
    assert json.loads(answer.tool_calls[0].arguments) == {"a": value}


@pytest.mark.parametrize("name", ["qwen3.5", "gemma-4"])
def test_a_schema_that_leads_back_to_itself(name: str) -> None:
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    }
    found = arguments(name, {**node, "$defs": {"Node": node}})
    while found["next"] is not None:
        found = found["next"]


def test_keys_that_gemma_has_to_quote() -> None:
    odd = {"a:b": {"type": "boolean"}, "c,d": {"type": "boolean"}, "e f": {"type": "boolean"}}
    parameters = {"type": "object", "properties": odd, "required": list(odd), "additionalProperties": False}
    assert arguments("gemma-4", parameters).keys() == odd.keys()


@pytest.mark.timeout(20)
def test_references_that_multiply_are_refused_and_cost_little() -> None:
    wide = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 30} for n in range(12)} | {"D12": {"type": "null"}}
    parameters = {"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": wide}
    tool = replace(Tool("f"), parameters=parameters)
    with pytest.raises(InvalidShape):
        ask(BY_NAME["qwen3.5"], ToolChoice("required", strict=frozenset({"f"})), tools=(tool,))
    written = "<function=f><parameter=a>null</parameter></function>"
    [call] = ask(BY_NAME["qwen3.5"], ToolChoice(), written, tools=(tool,)).tool_calls
    assert json.loads(call.arguments) == {"a": "null"}
