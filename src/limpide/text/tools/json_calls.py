"""Calls that are JSON: `{"name": …, "arguments": {…}}`, alone or in a list. Several dialects wrap these."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from limpide.core.messages import Tool
from limpide.text.tools.base import MalformedCall, ReadCall, checked_name

ARGUMENT_KEYS = ("arguments", "parameters")
_KNOWN_KEYS = {"name", "id", "type", *ARGUMENT_KEYS}
OPENED = r'(?=\{\s*["}])'
"""How a JSON object begins; in a pattern it takes nothing."""
_OPENING = (
    r'\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"name"\s*:\s*"(?P<name>[^"\\\n]{1,256})"\s*,\s*'
    r'"(?:arguments|parameters)"\s*:\s*' + OPENED
)
HEAD = re.compile(r"\s*(?:\[\s*)?" + _OPENING)
"""What stands before the arguments of a first call, alone or in a list, as models are trained to write it."""
NEXT_HEAD = re.compile(r'\s*(?:,\s*"id"\s*:\s*"[^"\\\n]{0,256}"\s*)?\}\s*,\s*' + _OPENING)
"""What stands between the arguments of two calls in a list."""
_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
_LENIENT = json.JSONDecoder(parse_constant=_refuse_constant, strict=False)
"""Models write line breaks inside strings as they are; what is meant is clear."""


def parse(text: str, position: int = 0) -> tuple[Any, str, int]:
    """The JSON value at a position, its text in strict JSON, and where it ends. Raises MalformedCall."""
    try:
        value, end = _STRICT.raw_decode(text, position)
        return value, text[position:end], end
    except (ValueError, RecursionError):
        pass
    try:
        value, end = _LENIENT.raw_decode(text, position)
        return value, json.dumps(value, ensure_ascii=False), end
    except (ValueError, RecursionError) as error:
        raise MalformedCall(f"it is no JSON: {str(error)[:100]}") from None


def whole(text: str) -> tuple[Any, str]:
    """A text that is one JSON value, white space around it aside. Raises MalformedCall."""
    text = text.strip()
    value, source, end = parse(text)
    if end != len(text):
        raise MalformedCall(f"something follows its JSON: {text[end : end + 20]!r}")
    return value, source


def arguments_of(text: str) -> str:
    """The JSON text of an arguments object; nothing at all means no arguments. Raises MalformedCall."""
    if not text.strip():
        return "{}"
    value, source = whole(text)
    if not isinstance(value, dict):
        raise MalformedCall("its arguments are no JSON object")
    return source


def read_object(text: str) -> ReadCall:
    """A call from the JSON text of one object, its arguments exactly as written. Raises MalformedCall."""
    value, source = whole(text)
    if not isinstance(value, dict):
        raise MalformedCall("it is no JSON object")
    inner = value.get("function")
    if isinstance(inner, dict):
        return read_object(_member(source, "function") or "")
    surplus = sorted(set(value) - _KNOWN_KEYS)
    if surplus:
        raise MalformedCall(f"it has {', '.join(surplus)[:100]} beside its name and arguments")
    key = next((key for key in ARGUMENT_KEYS if key in value), None)
    arguments = value.get(key) if key else None
    if isinstance(arguments, str):  # some models write the object as a string of JSON
        return ReadCall(checked_name(value.get("name")), arguments_of(arguments))
    if arguments is not None and not isinstance(arguments, dict):
        raise MalformedCall("its arguments are no JSON object")
    written = _member(source, key) if key and arguments is not None else None
    return ReadCall(checked_name(value.get("name")), written or "{}")


def read_calls(text: str) -> list[ReadCall]:
    """Calls from a JSON object or a list of them. Raises MalformedCall."""
    value, source = whole(text)
    if not isinstance(value, list):
        return [read_object(source)]
    calls, position = [], _skip(source, 1)
    while source[position] != "]":
        _, item, position = parse(source, position)
        calls.append(read_object(item))
        position = _skip(source, position)
        if source[position] == ",":
            position = _skip(source, position + 1)
    return calls


def read(text: str, _tools: Mapping[str, Tool]) -> Sequence[ReadCall]:
    """As a dialect's reader."""
    return read_calls(text)


def write(call: ReadCall) -> str:
    """A call as the JSON text of an object."""
    return f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {call.arguments}}}'


def _member(source: str, key: str) -> str | None:
    """Text of the last member of that name in the text of a valid JSON object: the one that its value came from."""
    found, position = None, _skip(source, 1)
    while source[position] != "}":
        name, _, position = parse(source, position)
        _, item, position = parse(source, _skip(source, _skip(source, position) + 1))
        if name == key:
            found = item
        position = _skip(source, position)
        if source[position] == ",":
            position = _skip(source, position + 1)
    return found


def _skip(source: str, position: int) -> int:
    found = _SPACE.match(source, position)
    return found.end() if found else position
