"""Arguments as `<parameter=key>` elements whose strings stand bare: a grammar for what Qwen 3.5 writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from limpide.core.errors import InvalidShape
from limpide.text.grammar.lark import Lark

_END: Final = "\n</parameter>"
_BARE_KEYWORDS: Final = frozenset(
    ("type", "title", "description", "default", "examples", "enum", "const", "nullable", "minLength", "maxLength")
)
"""What of a string's schema can be kept where it has no quotes."""


def xml_parameters(lark: Lark, schema: Mapping[str, Any]) -> str:
    """The parameters of one call, in the schema's order; those that are not required may be left out.

    Raises InvalidShape for what a bare value can't be held to.
    """
    if "properties" not in schema and schema.get("additionalProperties", True) is not False:
        key = lark.regex("[A-Za-z_][A-Za-z0-9_.-]{0,63}")
        return f"({lark.plain(f'{chr(10)}<parameter=')} {key} {lark.plain(f'>{chr(10)}')} {lark.until(_END)})*"
    properties = schema.get("properties", {})
    required = schema.get("required") or ()
    surplus = sorted(set(schema) - _OBJECT_KEYWORDS)
    missing = sorted(set(required) - set(properties))
    if surplus or missing:
        raise InvalidShape(
            f"arguments can't be enforced in the tool dialect qwen-xml: {', '.join(surplus or missing)[:200]}",
            expected="an object with `properties`, all of `required` among them",
        )
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    written = []
    for key, each in properties.items():
        one = f"{lark.plain(f'{chr(10)}<parameter={key}>{chr(10)}')} {_value(lark, key, each, shared)}"
        written.append(one if key in required else f"({one})?")
    return " ".join(written)


_OBJECT_KEYWORDS: Final = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "$defs", "definitions"),
        *("title", "description", "examples", "default"),
    )
)


def _value(lark: Lark, key: str, schema: Any, shared: Mapping[str, Any]) -> str:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else ["string"]
    if "string" not in kinds:
        return f"{lark.json({**schema, **shared})} {lark.text(_END)}"
    allowed = _allowed(schema)
    surplus = sorted(set(schema) - _BARE_KEYWORDS) if isinstance(schema, Mapping) else []
    if surplus or (allowed is not None and not all(isinstance(each, str) for each in allowed)):
        raise InvalidShape(
            f"the parameter {key[:100]!r} can't be enforced in the tool dialect qwen-xml, where strings stand bare: "
            f"{', '.join(surplus)[:200] or 'its values are not all strings'}",
            expected="a type, and for strings at most `enum` and lengths",
        )
    if allowed is None:
        lengths = schema if isinstance(schema, Mapping) else {}
        return lark.until(_END, low=lengths.get("minLength", 0), high=lengths.get("maxLength"))
    return f"{lark.any_of([lark.plain(each) for each in allowed])} {lark.text(_END)}"


def _allowed(schema: Any) -> list[Any] | None:
    if not isinstance(schema, Mapping):
        return None
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return json.loads(json.dumps(values)) if isinstance(values, list) else None
