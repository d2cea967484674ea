"""What is wrong with a request that its schema refuses, said with the field's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 80

_CODES = {
    "missing": "missing_required_parameter",
    "unknown_field": "unknown_parameter",
    "unsupported_field": "unsupported_parameter",
    "json_invalid": "invalid_json",
}
_OWN = ("unknown_field", "unsupported_field", "contradiction", "half_character", "value_error")
"""Kinds of error whose message is ours and says it all."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """The one thing to mend first."""

    message: str
    param: str | None
    code: str


def describe_invalid(errors: Sequence[Mapping[str, Any]], body: object) -> Invalid:
    """Of all that the schema complains about, what lies deepest: the other branches of a union only repeat it."""
    located = [(_path(error["loc"], body, missing=error["type"] == "missing"), error) for error in errors]
    path, worst = max(located, key=lambda item: (item[1]["type"] in _OWN, len(item[0])))
    kind = str(worst["type"])
    if kind == "json_invalid":
        return Invalid(f"the body is not JSON: {worst['ctx']['error']}", None, _CODES[kind])
    field = worst.get("ctx", {}).get("field") if kind in _OWN else None
    name = path_text([*path, field] if field else path)
    code = _CODES.get(kind, "invalid_value")
    if kind in _OWN:
        return Invalid(str(worst["msg"]).removeprefix("Value error, "), name or None, code)
    if kind == "missing":
        return Invalid(f"{name or 'the body'} is missing", name or None, code)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(worst["ctx"]["discriminator"]).strip("'")
        name = path_text([*path, tag])
        if kind == "union_tag_not_found":
            return Invalid(f"{name} is missing", name, _CODES["missing"])
        tags = worst["ctx"]["expected_tags"]
        return Invalid(f"{name} can't be {_shown(worst['ctx']['tag'])}\nExpected: {tags}", name, code)
    expected = list(dict.fromkeys(_expected(str(error["msg"])) for at, error in located if at == path))
    value = _shown(worst.get("input"))
    return Invalid(f"{name or 'the body'} can't be {value}\nExpected: {' or '.join(expected)}", name or None, code)


def path_text(path: Sequence[str | int]) -> str:
    """A place in a body as a person writes it: `messages[0].content`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _path(location: Sequence[str | int], body: object, *, missing: bool) -> list[str | int]:
    """A location without the names of the schema's own branches, which stand for nothing in the body."""
    where, at = list(location), body
    if where and where[0] in ("body", "path", "query", "header"):
        in_body = where.pop(0) == "body"
        if not in_body:
            return where
    path: list[str | int] = []
    for number, step in enumerate(where):
        if _has(at, step):
            at = at[step]  # type: ignore[index]
        elif not missing or number < len(where) - 1:
            continue
        path.append(step)
    return path


def _has(value: object, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and 0 <= step < len(value)
    return isinstance(value, Mapping) and step in value


def _expected(message: str) -> str:
    return message.removeprefix("Input should be ").rstrip(".")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
