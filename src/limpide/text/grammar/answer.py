"""What one answer may be: text, text of a shape, calls of tools, or one of these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from limpide.core.errors import InvalidParameter, InvalidShape
from limpide.core.messages import Tool
from limpide.core.receipt import Outcome
from limpide.core.shape import Grammar, JsonObject, JsonSchema, Regex, Shape, ToolChoice
from limpide.text.channels import ChannelFormat
from limpide.text.grammar.lark import Lark, SplitSpecial
from limpide.text.grammar.schema import checked_schema
from limpide.text.tools.base import ToolDialect
from limpide.text.tools.grammars import ANY_OBJECT, CALL_SYNTAX, openings_of, text_without_calls

MAX_PATTERN = 1 << 16
"""Characters of a regular expression or grammar."""


@dataclass(frozen=True, slots=True)
class AnswerGrammar:
    """A grammar for the answer, and what the receipt says of it."""

    text: str
    """In llguidance's form of Lark."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Of the parameters that it stands for; an answer that is cut short changes them."""
    parameter: str = "shape"
    """What of the request made it necessary, for errors: `shape`, or `tools` where the shape has no part in it."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The tools of a request, and how the model is to use them."""

    tools: tuple[Tool, ...]
    choice: ToolChoice
    dialect: ToolDialect

    @property
    def free(self) -> bool:
        """Whether the model may do as it likes, so that no grammar is needed."""
        single = not self.choice.parallel and not self.dialect.one_call_a_turn
        return self.choice.mode == "auto" and not self.choice.strict and not single


def check_choice(tools: Sequence[Tool], choice: ToolChoice) -> None:
    """Whether a choice fits the tools. Raises InvalidParameter."""
    names = [tool.name for tool in tools]
    offered = ", ".join(names) or "no tools: none are offered"
    if choice.mode == "required" and not names:
        raise InvalidParameter("tool_choice", choice.mode, "auto or none, since no tools are offered")
    if choice.name is not None and choice.mode != "required":
        raise InvalidParameter("tool_choice", choice.name, "a name only where a call is required")
    for name in (*((choice.name,) if choice.name is not None else ()), *sorted(choice.strict)):
        if name not in names:
            raise InvalidParameter("tool_choice", name, f"one of the offered tools: {offered}")


def answer_grammar(
    split: SplitSpecial, shape: Shape | None, offered: Offered | None, channels: ChannelFormat | None
) -> AnswerGrammar | None:
    """The grammar that a request's answer must follow; None if nothing is asked of it.

    split: cuts a text at the model's special tokens. channels: the answer is a message on a channel, with its header.
    Raises InvalidShape for what can't be enforced.
    """
    if shape is None and (offered is None or offered.free):
        return None
    lark = Lark(split)
    outcomes: dict[str, Outcome] = {}
    alternatives: list[str] = []
    needs_call = offered is not None and offered.choice.mode == "required"
    if shape is not None:
        told = _told(shape)
        outcomes["shape"] = Outcome("applied", told, told)
        if needs_call:
            outcomes["shape"] = replace(outcomes["shape"], why="a call is required, so there is no answer to shape")
        else:
            calls_begin = openings_of(offered.dialect) if offered and not offered.dialect.at_start else ()
            alternatives.append(_shaped(lark, shape, without=calls_begin))
    elif offered is not None and not needs_call:
        alternatives.append(text_without_calls(lark, offered.dialect))
    if channels is not None:
        header = f"{channels.start}{channels.channel}final{channels.message}"
        alternatives = [f"{lark.text(header)} {inside}" for inside in alternatives]
    if offered is not None:
        calls, outcomes["tool_choice"] = _calls(lark, offered, channels, after_text=shape is None and not needs_call)
        alternatives += calls
    from_shape = shape is not None and not needs_call
    return AnswerGrammar(lark.finish(lark.any_of(alternatives)), outcomes, "shape" if from_shape else "tools")


def _calls(
    lark: Lark, offered: Offered, channels: ChannelFormat | None, *, after_text: bool
) -> tuple[list[str], Outcome]:
    choice = offered.choice
    told = {
        "mode": choice.mode,
        "name": choice.name,
        "parallel": choice.parallel,
        "strict": sorted(choice.strict),
    }
    if choice.mode == "none":
        return [], Outcome("applied", told, told)
    syntax = CALL_SYNTAX[offered.dialect.name]
    notes: list[str] = []
    tools = [_enforced(lark, tool, offered, notes) for tool in offered.tools if choice.name in (None, tool.name)]
    parallel = choice.parallel and not offered.dialect.one_call_a_turn
    if choice.parallel and not parallel:
        notes.append("this model's format has one call a turn")
    if not after_text:
        calls = syntax.calls(lark, tools, parallel)
    elif channels is not None:
        said = lark.text(f"{channels.start}{channels.channel}commentary{channels.message}")
        calls = f"({said} {lark.until(channels.ends[0])})? {syntax.calls(lark, tools, parallel)}"
    else:
        calls = syntax.after_text(lark, tools, parallel)
    return [calls], Outcome("applied", told, {**told, "parallel": parallel}, "; ".join(notes) or None)


def _enforced(lark: Lark, tool: Tool, offered: Offered, notes: list[str]) -> Tool:
    """The tool with parameters as the grammar takes them: a schema that can't be enforced binds only strict tools."""
    strict = tool.name in offered.choice.strict
    if offered.choice.mode == "auto" and not strict:
        return replace(tool, parameters=ANY_OBJECT)
    try:
        schema = checked_schema({"type": "object", **tool.parameters}, f"the parameters of {tool.name!r}")
        if schema["type"] != "object":
            raise InvalidShape(f"the parameters of {tool.name!r} are no object", expected='"type": "object"')
        checked = replace(tool, parameters=schema)
        CALL_SYNTAX[offered.dialect.name].calls(Lark(lark.split), [checked], False)
    except InvalidShape as error:
        if strict:
            error.parameter = "tools"
            raise
        notes.append(f"{error.what}, so any arguments are accepted")
        return replace(tool, parameters=ANY_OBJECT)
    return checked


def _shaped(lark: Lark, shape: Shape, *, without: Sequence[str]) -> str:
    match shape:
        case JsonSchema():
            return lark.json(checked_schema(shape.schema, f"the schema {shape.name!r}" if shape.name else "the schema"))
        case JsonObject():
            return lark.json(ANY_OBJECT)
        case Regex():
            return lark.regex(_bounded(shape.pattern, "the regular expression"), without)
        case Grammar():
            return lark.grammar(_bounded(shape.text, "the grammar"))


def _bounded(text: str, what: str) -> str:
    if len(text) > MAX_PATTERN:
        raise InvalidShape(f"{what} has {len(text)} characters", expected=f"at most {MAX_PATTERN}")
    return text


def _told(shape: Shape) -> dict[str, Any]:
    """A shape for the receipt: which kind, and the hash of what was asked."""
    match shape:
        case JsonSchema():
            return {"kind": "json_schema", "name": shape.name, "sha256": _hash(_written(shape.schema))}
        case JsonObject():
            return {"kind": "json_object"}
        case Regex():
            return {"kind": "regex", "sha256": _hash(shape.pattern)}
        case Grammar():
            return {"kind": "grammar", "sha256": _hash(shape.text)}


def _written(schema: Mapping[str, Any]) -> str:
    try:
        return json.dumps(schema, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(type(schema))  # refused in a moment, by name


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
