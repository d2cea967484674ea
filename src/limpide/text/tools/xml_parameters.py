"""Arguments as `<parameter=key>` elements whose strings stand bare: a grammar for what Qwen 3.5 writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from limpide.core.errors import InvalidShape
from limpide.text.grammar.lark import Lark, escaped
from limpide.text.tools.branches import SAID, SHARED, branches, kind_of
from limpide.text.tools.qwen_xml import BRACKETS

_END: Final = "\n</parameter>"
_MARKERS_BEFORE_THE_END: Final = r"(?s:.*)<\/(parameter|function)>(?s:.+)"
_BARE_KEYWORDS: Final = SAID | {"type", "const", "minLength", "maxLength"}
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
    shared = {key: schema[key] for key in SHARED if key in schema}
    written = []
    for key, each in properties.items():
        one = f"{lark.plain(f'{chr(10)}<parameter={key}>{chr(10)}')} {_value(lark, key, each, shared)}"
        written.append(one if key in required else f"({one})?")
    return " ".join(written)


_OBJECT_KEYWORDS: Final = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "$defs", "definitions"),
        *SAID,
    )
)


def _value(lark: Lark, key: str, schema: Any, shared: Mapping[str, Any]) -> str:
    """A value as the dialect's reader will understand it: where a string may stand, a number would be one, too."""
    parts = branches(schema, shared)
    kinds = {kind_of(part) for part in parts}
    if "string" not in kinds:
        return f"{lark.json({**schema, **shared})} {lark.text(_END)}"
    alternatives = []
    for part in parts:
        if kind_of(part) == "string":
            alternatives.append(_bare(lark, key, part, kinds))
        elif kind_of(part) in ("null", "array", "object"):
            alternatives.append(f"{lark.json({**part, **shared})} {lark.text(_END)}")
    return lark.any_of(alternatives)


def _bare(lark: Lark, key: str, schema: Mapping[str, Any], kinds: Collection[str]) -> str:
    surplus = sorted(set(schema) - _BARE_KEYWORDS)
    if surplus:
        raise InvalidShape(
            f"the parameter {key[:100]!r} can't be enforced in the tool dialect qwen-xml, where strings stand bare: "
            f"{', '.join(surplus)[:200]}",
            expected="for strings at most `enum` and lengths",
        )
    if "const" in schema:
        return f"{lark.plain(schema['const'])} {lark.text(_END)}"
    unlike = [_MARKERS_BEFORE_THE_END]
    if brackets := "".join(bracket for bracket, kind in BRACKETS.items() if kind in kinds):
        unlike.append(rf"\s*[{escaped(brackets)}](?s:.*)")
    return lark.until(_END, low=schema.get("minLength", 0), high=schema.get("maxLength"), unlike=unlike)
