"""Tool calls as a grammar, dialect by dialect: the offered names alone, and arguments that follow their schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from limpide.core.messages import Tool
from limpide.text.channels import HARMONY as CHANNELS
from limpide.text.grammar.lark import Lark
from limpide.text.tools.base import ToolDialect
from limpide.text.tools.gemma_values import gemma_object
from limpide.text.tools.xml_parameters import xml_parameters

ANY_OBJECT: Final[Mapping[str, Any]] = MappingProxyType({"type": "object"})

MAX_CALLS: Final = 16
"""In one turn: small models repeat themselves without end if they may."""

Body = Callable[[Lark, Sequence[Tool], bool], str]
"""What follows the opening: calls of these tools, the flag says whether several."""


@dataclass(frozen=True, slots=True)
class CallSyntax:
    """How calls are written in one dialect. Some can't have several in one turn."""

    opening: str
    body: Body

    def calls(self, lark: Lark, tools: Sequence[Tool], parallel: bool) -> str:
        """One call or several, from the first character on."""
        return f"{lark.text(self.opening) if self.opening else ''} {self.body(lark, tools, parallel)}".strip()

    def after_text(self, lark: Lark, tools: Sequence[Tool], parallel: bool) -> str:
        """Text of the model's own, and then calls."""
        if not self.opening:
            return self.calls(lark, tools, parallel)
        return f"{lark.until(self.opening)} {self.body(lark, tools, parallel)}"


def text_without_calls(lark: Lark, dialect: ToolDialect) -> str:
    """Any text in which no call can begin."""
    return lark.free(*openings_of(dialect), at_start=dialect.at_start)


def openings_of(dialect: ToolDialect) -> tuple[str, ...]:
    """All text with which a call may begin."""
    return tuple(dict.fromkeys(filter(None, (CALL_SYNTAX[dialect.name].opening, *dialect.opens, *dialect.begins))))


def _listed(lark: Lark, call: str, between: str, many: bool) -> str:
    again = f"({lark.text(between) if between else ''} {call}){{0,{MAX_CALLS - 1}}}"
    return f"{call} {again}" if many else call


def _json_call(lark: Lark, tools: Sequence[Tool]) -> str:
    """`{"name": …, "arguments": {…}}`."""

    def one(tool: Tool) -> str:
        head = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": '
        return f"{lark.plain(head)} {lark.json(tool.parameters)} {lark.text('}')}"

    return lark.any_of([one(tool) for tool in tools])


def _hermes(lark: Lark, tools: Sequence[Tool], many: bool) -> str:
    call = lark.rule(f"{lark.plain(chr(10))} {_json_call(lark, tools)} {lark.text(chr(10) + '</tool_call>')}")
    return _listed(lark, call, "\n<tool_call>", many)


def _granite(lark: Lark, tools: Sequence[Tool], many: bool) -> str:
    return f"{lark.plain('[')} {_listed(lark, _json_call(lark, tools), ', ', many)} {lark.plain(']')}"


def _llama(lark: Lark, tools: Sequence[Tool], _many: bool) -> str:
    """A call is JSON from its first character on, so that an answer in JSON can be told from it by its keys."""
    return lark.any_of([lark.json(_call_schema(tool)) for tool in tools])


def _call_schema(tool: Tool) -> Mapping[str, Any]:
    parameters = dict(tool.parameters)
    shared: dict[str, Any] = {key: parameters.pop(key) for key in ("$defs", "definitions") if key in parameters}
    return {
        **shared,
        "type": "object",
        "properties": {"name": {"const": tool.name}, "parameters": parameters},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def _mistral(lark: Lark, tools: Sequence[Tool], many: bool) -> str:
    if lark.text("[ARGS]").startswith('"'):  # no token of that name: the older form, a list
        return _granite(lark, tools, many)
    calls = [f"{lark.plain(tool.name)} {lark.text('[ARGS]')} {lark.json(tool.parameters)}" for tool in tools]
    return _listed(lark, lark.any_of(calls), "[TOOL_CALLS]", many)


def _deepseek(lark: Lark, tools: Sequence[Tool], many: bool) -> str:
    separator = lark.text("<｜tool▁sep｜>")

    def one(tool: Tool) -> str:
        name, arguments = lark.plain(tool.name), lark.json(tool.parameters)
        fence = f"{lark.plain(chr(10) + '```json' + chr(10))} {arguments} {lark.plain(chr(10) + '```')}"
        return lark.any_of([f"{name} {separator} {arguments}", f"{lark.plain('function')} {separator} {name} {fence}"])

    begin, end = lark.text("<｜tool▁call▁begin｜>"), lark.text("<｜tool▁call▁end｜>")
    call = lark.rule(f"{begin} {lark.any_of([one(tool) for tool in tools])} {end}")
    return f"{_listed(lark, call, '', many)} {lark.text('<｜tool▁calls▁end｜>')}"


def _gemma(lark: Lark, tools: Sequence[Tool], many: bool) -> str:
    calls = [f"{lark.plain(f'call:{tool.name}')} {gemma_object(lark, tool.parameters)}" for tool in tools]
    call = f"{lark.any_of(calls)} {lark.text('<tool_call|>')}"
    return _listed(lark, call, "<|tool_call>", many)


def _qwen_xml(lark: Lark, tools: Sequence[Tool], many: bool) -> str:
    calls = [f"{lark.plain(f'<function={tool.name}>')} {xml_parameters(lark, tool.parameters)}" for tool in tools]
    end = lark.text("\n</function>\n</tool_call>")
    call = lark.rule(f"{lark.plain(chr(10))} {lark.any_of(calls)} {end}")
    return _listed(lark, call, "\n<tool_call>", many)


def _harmony(lark: Lark, tools: Sequence[Tool], _many: bool) -> str:
    def one(tool: Tool) -> str:
        header = f"{lark.plain(f'to=functions.{tool.name} ')} {lark.text('<|constrain|>json' + CHANNELS.message)}"
        return f"{header} {lark.json(tool.parameters)}"

    return lark.any_of([one(tool) for tool in tools])


CALL_SYNTAX: Final[Mapping[str, CallSyntax]] = MappingProxyType(
    {
        "hermes": CallSyntax("<tool_call>", _hermes),
        "granite": CallSyntax("<|tool_call|>", _granite),
        "llama": CallSyntax("", _llama),
        "mistral": CallSyntax("[TOOL_CALLS]", _mistral),
        "deepseek": CallSyntax("<｜tool▁calls▁begin｜>", _deepseek),
        "gemma": CallSyntax("<|tool_call>", _gemma),
        "qwen-xml": CallSyntax("<tool_call>", _qwen_xml),
        "harmony": CallSyntax(f"{CHANNELS.start}{CHANNELS.channel}commentary ", _harmony),
        "prompted": CallSyntax("<tool_call>", _hermes),
    }
)
"""By the dialect's name. Each reads what its dialect's reader reads."""
