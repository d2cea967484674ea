"""A schema as the list of what it allows, each of one type: for notations whose values don't show their type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from limpide.core.errors import InvalidShape

SAID: Final = frozenset(("title", "description", "default", "examples", "nullable", "deprecated"))
"""Keywords that bind nobody."""
SHARED: Final = ("$defs", "definitions")

_OF_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    "array": frozenset(("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems")),
    "object": frozenset(("properties", "required", "additionalProperties", "patternProperties", "propertyNames")),
}
_OF_ANY: Final = frozenset().union(*_OF_TYPES.values())
_MAX_DEPTH: Final = 16
MAX_BRANCHES: Final = 4096

Schema = Mapping[str, Any]


def resolved(schema: object, shared: Schema) -> Schema:
    """What a schema says once its own reference is followed. shared: where `$defs` are.

    Raises InvalidShape for references that lead nowhere or to each other without end.
    """
    for _ in range(_MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        rest = set(schema) - SAID
        if rest == {"$ref"}:
            schema = _target(schema["$ref"], shared)
        elif rest == {"allOf"} and isinstance(schema["allOf"], list) and len(schema["allOf"]) == 1:
            schema = schema["allOf"][0]
        else:
            return schema
    raise InvalidShape("a reference leads to other references without end", expected="a schema")


def branches(schema: object, shared: Schema) -> list[Schema]:
    """A schema taken apart. What can't be is left whole. Raises InvalidShape for one that has too many parts."""
    found: list[Schema] = []
    _collect(schema, shared, found, 0)
    return found


def _collect(schema: object, shared: Schema, found: list[Schema], depth: int) -> None:
    schema = resolved(schema, shared)
    if depth > _MAX_DEPTH or len(found) > MAX_BRANCHES:
        raise InvalidShape("a schema allows too much to be told apart", expected="a flatter schema")
    rest, kinds = set(schema) - SAID, schema.get("type")
    for key in ("anyOf", "oneOf"):
        if rest == {key} and isinstance(schema[key], list) and schema[key]:
            before = len(found)
            for each in schema[key]:
                _collect(each, shared, found, depth + 1)
            told = [kind_of(part) for part in found[before:]]
            if key == "oneOf" and len(set(told)) < len(told):
                found[before:] = [schema]
            return
    if rest in ({"const"}, {"const", "type"}):
        found.append({"const": schema["const"]})
    elif rest in ({"enum"}, {"enum", "type"}) and isinstance(schema["enum"], list) and schema["enum"]:
        found += [{"const": value} for value in schema["enum"]]
    elif isinstance(kinds, list) and kinds:
        found += [_of_type(schema, str(kind)) for kind in kinds]
    else:
        found.append(schema)


def kind_of(branch: Schema) -> str:
    """The type of a branch; "string" where it says nothing."""
    if "const" in branch:
        return _kind(branch["const"])
    kind = branch.get("type")
    return kind if isinstance(kind, str) else "string"


def kinds_of(schema: object, shared: Schema) -> frozenset[str]:
    """All types that a schema allows."""
    try:
        return frozenset(map(kind_of, branches(schema, shared)))
    except InvalidShape:
        return frozenset(("string",))


def _of_type(schema: Schema, kind: str) -> Schema:
    others = _OF_ANY - _OF_TYPES.get("number" if kind == "integer" else kind, frozenset())
    return {key: value for key, value in schema.items() if key not in others} | {"type": kind}


def _target(reference: object, shared: Schema) -> object:
    place, _, name = str(reference).removeprefix("#/").partition("/")
    inside = shared.get(place) if place in SHARED else None
    name = name.replace("~1", "/").replace("~0", "~")
    if not isinstance(inside, Mapping) or name not in inside:
        raise InvalidShape(f"the reference {str(reference)[:100]!r} leads nowhere", expected="#/$defs/ and a name")
    found: object = inside[name]
    return found


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        ((list, tuple), "array"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")
