"""Records from plain data, and nothing but what they are made of: an unknown field is as wrong as a missing one."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from limpide.core.errors import InvalidParameter

T = TypeVar("T")


def read_record(cls: type[T], data: object, *, where: str = "record") -> T:
    """A dataclass from what JSON made of it, checked field by field: lists become tuples, objects dataclasses.

    Raises InvalidParameter naming the field that is missing, unknown or of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise InvalidParameter(where, data, "a JSON object")
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    if missing := [name for name in names if name not in data]:
        raise InvalidParameter(where, sorted(map(str, data)), f"also {', '.join(missing)}")
    if unknown := [str(name) for name in data if name not in names]:
        raise InvalidParameter(
            f"{where}.{unknown[0]}", data[unknown[0]], f"no such field; there are {', '.join(names)}"
        )
    hints = get_type_hints(cls)
    return cls(**{name: _read(hints[name], data[name], f"{where}.{name}") for name in names})


def plain(record: object) -> Any:
    """A dataclass as plain data, ready for JSON."""
    if is_dataclass(record) and not isinstance(record, type):
        return {field.name: plain(getattr(record, field.name)) for field in fields(record)}
    if isinstance(record, Mapping):
        return {key: plain(value) for key, value in record.items()}
    if isinstance(record, Sequence) and not isinstance(record, str | bytes):
        return [plain(value) for value in record]
    return record


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in inside:
            return None
        [only] = [each for each in inside if each is not types.NoneType]
        return _read(only, value, where)
    if hint is Any:
        return value
    if origin is Literal:
        return _only_if(value in inside, value, where, " or ".join(map(str, inside)))
    if origin is tuple:
        _only_if(isinstance(value, list | tuple), value, where, "a list")
        return tuple(_read(inside[0], each, f"{where}[{number}]") for number, each in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        _only_if(isinstance(value, Mapping), value, where, "an object")
        return {key: _read(inside[1], each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return read_record(hint, value, where=where)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(_only_if(number, value, where, "a number"))
    if hint is int:
        return _only_if(isinstance(value, int) and not isinstance(value, bool), value, where, "a whole number")
    return _only_if(isinstance(value, hint), value, where, _NAMES.get(hint, str(hint)))


def _only_if(holds: bool, value: Any, where: str, expected: str) -> Any:
    if not holds:
        raise InvalidParameter(where, value, expected)
    return value


_NAMES = {str: "a string", bool: "true or false"}
