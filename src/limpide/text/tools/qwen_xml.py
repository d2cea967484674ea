"""`<tool_call><function=f><parameter=p>value</parameter></function></tool_call>`: Qwen 3.5 and Qwen3-Coder.

Values are written as they are, without quotes or escapes: what type they have is for the tool's schema to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from limpide.core.messages import Tool
from limpide.text.tools.base import MalformedCall, Members, ToolDialect
from limpide.text.tools.branches import kinds_of
from limpide.text.tools.extents import MarkerExtent
from limpide.text.tools.json_calls import whole
from limpide.text.tools.members import reader

_PARAMETER = re.compile(r"\s*<parameter=([^<>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
BRACKETS: Final = {"[": "array", "{": "object"}
"""With what a value begins that is taken for JSON where its schema allows that beside strings."""
_PYTHON = {"True": True, "False": False, "None": None}
"""Written by templates in Python's manner, and so by models."""


def _member(text: str, tool: Tool | None) -> tuple[str, Any]:
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise MalformedCall(f"{text.strip()[:20]!r} is no parameter")
    key = found[1].strip()
    return key, _value(found[2], _kinds(tool, key))


def _kinds(tool: Tool | None, key: str) -> frozenset[str]:
    properties = tool.parameters.get("properties") if tool else None
    if tool is None or not isinstance(properties, Mapping):
        return kinds_of({}, {})
    return kinds_of(properties.get(key), tool.parameters)


def _value(text: str, kinds: frozenset[str]) -> Any:
    """A value by the types that its schema allows.

    Where a string is allowed it is one, unless it is `null`, or the JSON of a list or object where these are allowed,
    too. Otherwise it is JSON, and a string if it is nothing else.
    """
    literal = text.strip()
    if "string" in kinds:
        if literal == "null" and "null" in kinds:
            return None
        if BRACKETS.get(literal[:1]) not in kinds:
            return text
    elif literal in _PYTHON:
        return _PYTHON[literal]
    try:
        return whole(literal)[0]
    except MalformedCall:
        return text


_MEMBERS = Members(
    head=re.compile(r"(?P<name>[^>]*)>"),
    extent=lambda: MarkerExtent("</parameter>", quote=None),
    read=_member,
)

QWEN_XML = ToolDialect(
    "qwen-xml",
    read=reader(_MEMBERS),
    extent=lambda: MarkerExtent("</function>", quote=None),
    opens=("<function=",),
    quiet=("<tool_call>", "</tool_call>"),
    members=_MEMBERS,
)
