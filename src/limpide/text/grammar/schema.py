"""JSON schemas by strangers: what is accepted of them, and where what is not stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from limpide.core.errors import InvalidShape
from limpide.text.grammar.checking import trouble_with

MAX_DEPTH: Final = 64
MAX_CHARACTERS: Final = 1 << 18
MAX_PROPERTIES: Final = 400
"""Of one object: each may be left out, so the parser follows as many ways on as there are."""
_MAX_SEARCHED: Final = 200
"""Parts of a schema that are tried to find the one at fault."""

_OF_SCHEMAS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE: Final = ("items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "contains")
_DIALECT: Final = ("$schema", "$id")
"""Which draft it is written in, and what it is called elsewhere: nothing that an answer could break."""

Schema = Mapping[str, Any]


def checked_schema(schema: object, name: str) -> Schema:
    """A schema as the grammar takes it. name: what errors call it. Raises InvalidShape with the path of what is wrong.

    References must be local, and no keyword that would change what is accepted is left out.
    """
    form = _plain(schema, name)
    trouble = _trouble(form, form)
    if trouble is None:
        return form
    path, trouble = _located(form, trouble)
    raise InvalidShape(
        f"{name} can't be enforced at {path}: {trouble}",
        expected="JSON Schema 2020-12 with the keywords that docs/structured.md lists",
    )


def _plain(schema: object, name: str) -> dict[str, Any]:
    """A schema within bounds and without the dialect's keys."""
    if not isinstance(schema, Mapping):
        raise InvalidShape(f"{name} is {type(schema).__name__}, no JSON object", expected="a JSON schema")
    _check_depth(schema, name)
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise InvalidShape(f"{name} is no JSON: {error}", expected="a JSON schema") from None
    if len(text) > MAX_CHARACTERS:
        raise InvalidShape(f"{name} has {len(text)} characters", expected=f"at most {MAX_CHARACTERS}")
    form: dict[str, Any] = {key: value for key, value in json.loads(text).items() if key not in _DIALECT}
    for path, part in parts(form):
        _check_part(part, path, name)
    return form


def parts(schema: Schema, path: str = "#") -> Iterator[tuple[str, Schema]]:
    """A schema and all schemas in it, outermost first, with their JSON pointers."""
    yield path, schema
    for key, value in schema.items():
        here = f"{path}/{key}"
        if key in _OF_SCHEMAS and isinstance(value, Mapping):
            inside = {f"{here}/{_pointer(name)}": item for name, item in value.items()}
        elif key in _LISTS and isinstance(value, list):
            inside = {f"{here}/{number}": item for number, item in enumerate(value)}
        elif key in _SINGLE:
            inside = {here: value}
        else:
            continue
        for where, item in inside.items():
            if isinstance(item, Mapping):
                yield from parts(item, where)


def _check_part(part: Schema, path: str, name: str) -> None:
    reference = part.get("$ref")
    properties = part.get("properties")
    what = None
    if reference is not None and not (isinstance(reference, str) and reference.startswith("#")):
        what = f"$ref {str(reference)[:100]!r} is not local: nothing is fetched"
    elif isinstance(properties, Mapping) and len(properties) > MAX_PROPERTIES:
        what = f"it has {len(properties)} properties, more than {MAX_PROPERTIES}"
    elif "x-guidance" in part:
        what = "x-guidance is not the request's to set"
    elif path != "#" and isinstance(part.get("$id"), str):
        what = "$id inside a schema changes what references mean"
    if what:
        raise InvalidShape(f"{name} can't be enforced at {path}: {what}", expected="a JSON schema that stands alone")


def _check_depth(value: object, name: str) -> None:
    stack = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidShape(f"{name} is nested deeper than {MAX_DEPTH}", expected="a flatter schema")
        inner = item.values() if isinstance(item, Mapping) else item if isinstance(item, list | tuple) else ()
        stack += ((each, depth + 1) for each in inner)


def _trouble(part: Schema, whole: Schema) -> str | None:
    shared = {key: whole[key] for key in ("$defs", "definitions") if key in whole and key not in part}
    return trouble_with(json.dumps({"grammars": [{"json_schema": {**part, **shared}}]}))


def _located(schema: Schema, trouble: str) -> tuple[str, str]:
    """The innermost part that alone has the same trouble, and the trouble in its own words."""
    for path, part in reversed(list(parts(schema))[:_MAX_SEARCHED]):
        if _trouble(part, schema) == trouble:
            return path, trouble
    return "#", trouble


def _pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
