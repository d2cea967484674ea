"""`<tool_call><function=f><parameter=p>value</parameter></function></tool_call>`: Qwen 3.5 and Qwen3-Coder.

Values are written as they are, without quotes or escapes: what type they have is for the tool's schema to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from limpide.core.messages import Tool
from limpide.text.tools.base import MalformedCall, ReadCall, ToolDialect, checked_name
from limpide.text.tools.extents import MarkerExtent
from limpide.text.tools.json_calls import whole

_PARAMETER = re.compile(r"\s*<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


def read(text: str, tools: Mapping[str, Tool]) -> Sequence[ReadCall]:
    """The call behind `<function=`."""
    name, bracket, rest = text.partition(">")
    if not bracket:
        raise MalformedCall("its name has no end")
    name = checked_name(name)
    schemas = _properties(tools.get(name))
    arguments: dict[str, Any] = {}
    position = 0
    while found := _PARAMETER.match(rest, position):
        parameter = found[1].strip()
        if parameter in arguments:
            raise MalformedCall(f"it has {parameter[:100]} twice")
        arguments[parameter] = _value(found[2], schemas.get(parameter))
        position = found.end()
    if rest[position:].strip():
        raise MalformedCall(f"{rest[position:].strip()[:20]!r} is no parameter")
    return [ReadCall(name, json.dumps(arguments, ensure_ascii=False))]


def _properties(tool: Tool | None) -> Mapping[str, Any]:
    properties = tool.parameters.get("properties") if tool else None
    return properties if isinstance(properties, Mapping) else {}


def _value(text: str, schema: object) -> Any:
    """A value by its schema; a string where the schema says so or says nothing, or where it is nothing else."""
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else ["string"]
    if "string" in kinds and not ("null" in kinds and text.strip() == "null"):
        return text
    literal = text.strip()
    if literal in ("True", "False", "None"):  # written by templates in Python's manner, and so by models
        return {"True": True, "False": False, "None": None}[literal]
    try:
        return whole(literal)[0]
    except MalformedCall:
        return text


QWEN_XML = ToolDialect(
    "qwen-xml",
    read=read,
    extent=lambda: MarkerExtent("</function>", quote=None),
    opens=("<function=",),
    quiet=("<tool_call>", "</tool_call>"),
)
