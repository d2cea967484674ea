"""YAML as a card needs it: nested mappings and lists of quoted strings and numbers, and nothing that can surprise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE = {code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, 0xFEFF)}
"""What JSON may leave as it is within quotes and YAML may not."""


def to_yaml(data: Any) -> str:
    """Block style; every string in double quotes, so that `no` and `1e3` stay what they are."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping) and data:
        for name, value in data.items():
            if _nested(value):
                yield f"{name}:"
                yield from (f"  {line}" for line in _lines(value))
            else:
                yield f"{name}: {_scalar(value)}"
    elif _nested(data):
        for value in data:
            first, *rest = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(data)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and len(value) > 0


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        return "{}" if isinstance(value, Mapping) else "[]"
    if isinstance(value, float):
        digits, e, exponent = repr(value).partition("e")
        return digits + (".0" if e and "." not in digits else "") + e + exponent  # 1e-06 would be a word
    return json.dumps(value, ensure_ascii=False).translate(_BARE)
