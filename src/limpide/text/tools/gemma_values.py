"""Values in Gemma 4's own notation, `{key:<|"|>text<|"|>,other:1}`: a grammar from a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from limpide.core.errors import InvalidShape
from limpide.text.grammar.lark import Lark
from limpide.text.tools.branches import SAID, resolved
from limpide.text.tools.gemma import PLAIN_KEY

_QUOTE: Final = '<|"|>'
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset(("properties", "required", "additionalProperties", "$defs", "definitions")),
    "array": frozenset(("items",)),
    "string": frozenset(("minLength", "maxLength")),
    "integer": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    "boolean": frozenset(),
    "null": frozenset(),
}
"""What can be kept of a schema of each type."""
_MAX_DEPTH: Final = 16


def gemma_object(lark: Lark, schema: Mapping[str, Any]) -> str:
    """An object. Keys come in the schema's order. Raises InvalidShape for keywords that can't be kept."""
    return _Values(lark, schema).value({"type": "object", **schema}, 0)


class _Values:
    def __init__(self, lark: Lark, shared: Mapping[str, Any]) -> None:
        self._lark = lark
        self._shared = shared
        self._referred_to: dict[str, str] = {}
        self._any: str | None = None

    def value(self, schema: Any, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise _refused(f"it is nested deeper than {_MAX_DEPTH}")
        if schema is True:
            return self._anything()
        if not isinstance(schema, Mapping):
            raise _refused(f"{schema!r:.100}")
        if "$ref" in schema:
            return self._referred(schema, depth)
        schema = resolved(schema, self._shared)
        if not set(schema) - SAID:
            return self._anything()
        if "const" in schema or "enum" in schema:
            return self._lark.any_of([self._literal(each) for each in schema.get("enum", [schema.get("const")])])
        if "anyOf" in schema and not set(schema) - SAID - {"anyOf"}:
            return self._lark.any_of([self.value(each, depth + 1) for each in schema["anyOf"]])
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return self._lark.any_of([self._typed(str(kind), schema, len(kinds) > 1, depth) for kind in kinds])

    def _typed(self, kind: str, schema: Mapping[str, Any], mixed: bool, depth: int) -> str:
        others = frozenset().union(*_KEYWORDS.values()) if mixed else frozenset()
        known = _KEYWORDS.get(kind)
        surplus = sorted(set(schema) - SAID - {"type"} - (known or frozenset()) - others)
        if known is None or surplus:
            raise _refused(", ".join(surplus)[:200] or f"type {kind[:100]}")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            item = self.value(schema.get("items", True), depth + 1)
            return self._items("[", f"{item} ({self._lark.plain(',')} {item})*", "]")
        if kind == "string":
            return self._string(schema.get("minLength", 0), schema.get("maxLength"))
        return self._lark.json({key: each for key, each in schema.items() if key in known} | {"type": kind})

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        if not properties:
            return (
                self._any_object()
                if schema.get("additionalProperties", True) is not False
                else self._items("{", "", "}")
            )
        required = set(schema.get("required") or ())
        if required - set(properties):
            raise _refused(f"required, without properties: {', '.join(sorted(required - set(properties)))[:200]}")
        pairs = [
            (f"{self._key(key)} {self.value(each, depth + 1)}", key in required) for key, each in properties.items()
        ]
        return f"{self._lark.plain('{')} {self._ordered(pairs)} {self._lark.plain('}')}"

    def _ordered(self, pairs: Sequence[tuple[str, bool]]) -> str:
        """Pairs in their order, those that are not required left out or not, with commas between what is there."""
        comma = self._lark.plain(",")
        first, after = '""', '""'  # what may follow where nothing, or something, was written yet
        for pair, needed in reversed(pairs):
            written = f"{pair} {after}"
            first, after = (
                self._lark.rule(written if needed else f"{written} | {first}"),
                self._lark.rule(f"{comma} {written}" if needed else f"{comma} {written} | {after}"),
            )
        return first

    def _anything(self) -> str:
        if self._any is None:
            name = self._any = self._lark.reserve()
            plain = self._lark.json({"type": ["number", "boolean", "null"]})
            string = self._string()
            listed = self._items("[", f"{name} ({self._lark.plain(',')} {name})*", "]")
            self._lark.define(name, f"{string} | {plain} | {listed} | {self._any_object()}")
        return self._any

    def _any_object(self) -> str:
        pair = f"{self._lark.regex('[A-Za-z_][A-Za-z0-9_]{0,63}')} {self._lark.plain(':')} {self._anything()}"
        return self._items("{", f"{pair} ({self._lark.plain(',')} {pair})*", "}")

    def _referred(self, schema: Mapping[str, Any], depth: int) -> str:
        """What a reference leads to, told once: schemas may lead back to themselves."""
        reference, target = str(schema["$ref"]), resolved(schema, self._shared)
        if target is schema:
            raise _refused("what stands beside $ref")
        if reference not in self._referred_to:
            name = self._referred_to[reference] = self._lark.reserve()
            self._lark.define(name, self.value(target, depth + 1))
        return self._referred_to[reference]

    def _key(self, key: str) -> str:
        quoted = "" if PLAIN_KEY.fullmatch(key) else self._lark.text(_QUOTE)
        return f"{quoted} {self._lark.plain(key)} {quoted} {self._lark.plain(':')}"

    def _items(self, begin: str, items: str, end: str) -> str:
        inside = f"({items})?" if items else ""
        return self._lark.rule(f"{self._lark.plain(begin)} {inside} {self._lark.plain(end)}")

    def _string(self, low: int = 0, high: int | None = None) -> str:
        return f"{self._lark.text(_QUOTE)} {self._lark.until(_QUOTE, low=low, high=high)}"

    def _literal(self, value: Any) -> str:
        if isinstance(value, str):
            return f"{self._lark.text(_QUOTE)} {self._lark.plain(value)} {self._lark.text(_QUOTE)}"
        if isinstance(value, Mapping | list):
            raise _refused("enum of objects or lists")
        return self._lark.plain(json.dumps(value))


def _refused(what: str) -> InvalidShape:
    return InvalidShape(
        f"arguments can't be enforced in Gemma's notation: {what}",
        expected="types, properties, items, enum, bounds of numbers, lengths of strings",
    )
