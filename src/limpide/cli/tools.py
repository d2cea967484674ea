"""Tools from a file, in the form that OpenAI's API takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limpide.cli.options import read_path
from limpide.core.errors import InvalidParameter
from limpide.core.messages import Tool

MAX_FILE = 1 << 20
MAX_TOOLS = 128
_EXPECTED = 'a JSON list of {"type": "function", "function": {"name", "description", "parameters"}}'


def read_tools(path: Path) -> tuple[Tool, ...]:
    """Tools of a file. Raises InvalidParameter."""
    try:
        value = json.loads(read_path(path, MAX_FILE))
    except (ValueError, RecursionError) as error:
        raise InvalidParameter("tools", str(path), f"{_EXPECTED} ({str(error)[:100]})") from None
    if not isinstance(value, list) or not 0 < len(value) <= MAX_TOOLS:
        raise InvalidParameter("tools", str(path), f"{_EXPECTED}, from 1 to {MAX_TOOLS} of them")
    tools = tuple(map(_tool, value))
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameter("tools", name, "names that differ: a call would not say which is meant")
    return tools


def _tool(value: Any) -> Tool:
    function = value.get("function") if isinstance(value, dict) else None
    kind = value.get("type", "function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or kind != "function":
        raise InvalidParameter("tools", _short(value), _EXPECTED)
    name, description = function.get("name"), function.get("description", "")
    parameters = function.get("parameters", {})
    if not isinstance(name, str) or not name or not isinstance(description, str) or not isinstance(parameters, dict):
        raise InvalidParameter("tools", _short(function), "a name, a description in words, and parameters as a schema")
    surplus = sorted(key for key in set(function) - {"name", "description", "parameters"} if function[key])
    if surplus:
        raise InvalidParameter("tools", surplus[0], "name, description and parameters: nothing else is looked at")
    return Tool(name, description, parameters)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
