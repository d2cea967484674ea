"""What all wire schemas have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from limpide.core.receipt import Outcome

_T = TypeVar("_T")


class Ask(BaseModel):
    """Something that a client sends: types are strict, and a field that nobody knows is an error.

    A null means the same as leaving the field out, as far as the field may be left out.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True, protected_namespaces=())

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {}
    """Fields that others know and that would change the answer: what to do in their place."""
    UNUSED: ClassVar[Mapping[str, str]] = {}
    """Fields that are taken and change nothing: why. Receipts list them as refused."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for name in value.keys() - known:
            if name in cls.UNSUPPORTED:
                if value[name] is None:
                    continue
                raise PydanticCustomError(
                    "unsupported_field",
                    "{field} is not supported: {why}",
                    {"field": name, "why": cls.UNSUPPORTED[name]},
                )
            near = get_close_matches(str(name), [*known, *cls.UNSUPPORTED], n=1)
            hint = f"\nTry: did you mean {near[0]}?" if near else f"\nExpected: {', '.join(sorted(known))}"
            raise PydanticCustomError(
                "unknown_field", "there is no field {field} here{hint}", {"field": str(name)[:80], "hint": hint}
            )
        for name, item in value.items():
            if not all(map(_is_text, item if isinstance(item, list) else (item,))):
                raise PydanticCustomError("half_character", "{field} holds half of a character", {"field": name})
        return {name: item for name, item in value.items() if name not in cls.UNSUPPORTED}

    def unused(self, prefix: str = "") -> dict[str, Outcome]:
        """What a receipt says of the fields that were sent and change nothing."""
        given = {name: getattr(self, name) for name in self.UNUSED if getattr(self, name) is not None}
        return {
            prefix + name: Outcome("refused", plain(value), None, self.UNUSED[name]) for name, value in given.items()
        }


class Reply(BaseModel):
    """Something that a client gets: fields that were not set are left out."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    def as_json(self) -> str:
        """As JSON on one line."""
        return self.model_dump_json(exclude_unset=True, by_alias=True)


def reply(whole: Reply) -> Response:
    """The answer to a request."""
    return Response(whole.as_json(), media_type="application/json")


def plain(value: Any) -> Any:
    """A field's value as JSON data."""
    return value.model_dump(exclude_unset=True, by_alias=True) if isinstance(value, BaseModel) else value


def _is_text(value: object) -> bool:
    """JSON can spell halves of characters (surrogates), which no encoding can write. True for all that is no string."""
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _writable(value: _T) -> _T:
    """JSON is read more generously than it may be written: NaN and halves of characters must not come further."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("holds a number or a character that JSON can't write, or too deep a nesting") from None
    return value


def _whole(value: object) -> object:
    """JSON has one kind of numbers, and 3.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, however it is written."""
JsonData = Annotated[dict[str, Any], AfterValidator(_writable)]
"""Any JSON object."""
