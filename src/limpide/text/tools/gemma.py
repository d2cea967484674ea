"""`<|tool_call>call:name{key:<|"|>text<|"|>,other:1}<tool_call|>`: Gemma 4."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from limpide.core.messages import Tool
from limpide.text.tools.base import MalformedCall, ReadCall, ToolDialect, checked_name
from limpide.text.tools.extents import MarkerExtent
from limpide.text.tools.json_calls import whole

_QUOTE: Final = '<|"|>'
_MAX_DEPTH: Final = 64
_START = re.compile(r"\s*call:\s*([^\s{]+)\s*(?=\{)")
_LITERAL = re.compile(r"[^,{}\[\]\s]+")
_WORDS = {"none": None, "null": None, "true": True, "false": False}


def read(text: str, _tools: Mapping[str, Tool]) -> Sequence[ReadCall]:
    """The call behind `<|tool_call>`."""
    found = _START.match(text)
    if found is None:
        raise MalformedCall("no name with arguments follows")
    reading = _Reading(text, found.end())
    value = reading.value()
    if reading.skip() != len(text):
        raise MalformedCall(f"something follows its arguments: {text[reading.position :][:20]!r}")
    return [ReadCall(checked_name(found[1]), json.dumps(value, ensure_ascii=False))]


class _Reading:
    """Reads values by recursive descent."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self.position = position

    def value(self, depth: int = 0) -> Any:
        """The value that stands here."""
        if depth > _MAX_DEPTH:
            raise MalformedCall(f"its arguments are nested deeper than {_MAX_DEPTH}")
        self.skip()
        if self._take("{"):
            return dict(self._items("}", lambda: self._pair(depth)))
        if self._take("["):
            return self._items("]", lambda: self.value(depth + 1))
        if self._take(_QUOTE):
            return self._until(_QUOTE)
        return self._literal()

    def skip(self) -> int:
        """Pass white space."""
        while self._text[self.position : self.position + 1].isspace():
            self.position += 1
        return self.position

    def _items(self, end: str, item: Any) -> list[Any]:
        items: list[Any] = []
        self.skip()
        while not self._take(end):
            if items and not self._take(","):
                raise MalformedCall(f"a comma is missing at {self._text[self.position :][:20]!r}")
            items.append(item())
            self.skip()
        return items

    def _pair(self, depth: int) -> tuple[str, Any]:
        self.skip()
        if self._take(_QUOTE):
            key = self._until(_QUOTE)
            self.skip()
            if not self._take(":"):
                raise MalformedCall("a key has no value")
        else:
            key = self._until(":").strip()
        return key, self.value(depth + 1)

    def _literal(self) -> Any:
        found = _LITERAL.match(self._text, self.position)
        if found is None:
            raise MalformedCall("a value is missing")
        self.position = found.end()
        word = found[0].lower()
        return _WORDS[word] if word in _WORDS else whole(found[0])[0]

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self.position):
            return False
        self.position += len(token)
        return True

    def _until(self, token: str) -> str:
        end = self._text.find(token, self.position)
        if end < 0:
            raise MalformedCall(f"{token} is missing")
        text, self.position = self._text[self.position : end], end + len(token)
        return text


GEMMA = ToolDialect(
    "gemma",
    read=read,
    extent=lambda: MarkerExtent("<tool_call|>", quote=_QUOTE, escapes=False),
    opens=("<|tool_call>",),
    inside=(_QUOTE,),
    quiet=("<|tool_response>",),
)
