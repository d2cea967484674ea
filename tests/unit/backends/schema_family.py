"""Schemas of all kinds that are enforced, and how an answer is checked against one by somebody else's code."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from hypothesis import strategies as st

Schema = dict[str, Any]

NAMES = ("name", "age", "größe", 'a "b"', "tags", "$id")

_leaves = st.one_of(
    st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.integers(0, 6)}),
    st.just({"type": "string", "minLength": 2, "maxLength": 3}),
    st.sampled_from(["[ab]{1,4}", "[0-9]{3}-[0-9]{2}", "yes|no"]).map(
        lambda p: {"type": "string", "pattern": f"^({p})$"}
    ),
    st.sampled_from(["date", "uuid", "ipv4"]).map(lambda name: {"type": "string", "format": name}),
    st.lists(st.sampled_from(["red", "green", 'qu"ote', "née", 3, 1.5, True, None]), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    ),
    st.sampled_from([{"const": "x"}, {"const": {"a": [1, 2]}}, {"type": "boolean"}, {"type": "null"}]),
    st.tuples(st.integers(-50, 50), st.integers(0, 50)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    ),
    st.just({"type": "number", "exclusiveMinimum": 0, "maximum": 9}),
    st.just({"type": ["null", "boolean"], "description": "either"}),
)


def _objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    def made(properties: dict[str, Schema], needed: int) -> Schema:
        required = [key for number, key in enumerate(properties) if needed >> number & 1]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    return st.builds(made, st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), st.integers(0, 15))


def _arrays(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        inner,
        st.integers(0, 2),
        st.integers(0, 2),
    )


_nested = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        _objects(inner), _arrays(inner), st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each})
    ),
    max_leaves=6,
)


def _shared(part: Schema, whole: Schema) -> Schema:
    """A schema that refers to a part of its own, once within itself."""
    tree = {"type": "object", "properties": {"value": part, "next": {"$ref": "#/$defs/tree"}}}
    tree |= {"required": ["value"], "additionalProperties": False}
    return {"$defs": {"tree": tree, "part": part}, "anyOf": [whole, {"$ref": "#/$defs/part"}, {"$ref": "#/$defs/tree"}]}


SCHEMAS = st.one_of(_nested, _objects(_nested), st.builds(_shared, _leaves, _nested))


def check(schema: Schema, answer: str) -> None:
    """AssertionError unless the answer is JSON that the schema accepts."""
    value = json.loads(answer)
    assert jsonschema_rs.is_valid(schema, value, validate_formats=True), (schema, value)
