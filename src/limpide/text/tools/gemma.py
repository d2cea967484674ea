"""`<|tool_call>call:name{key:<|"|>text<|"|>,other:1}<tool_call|>`: Gemma 4."""

from __future__ import annotations

import re
from typing import Any, Final

from limpide.core.messages import Tool
from limpide.text.markers import held_suffix
from limpide.text.tools.base import MalformedCall, Members, ToolDialect
from limpide.text.tools.extents import MarkerExtent
from limpide.text.tools.json_calls import whole
from limpide.text.tools.members import reader

_QUOTE: Final = '<|"|>'
_MAX_DEPTH: Final = 64
_STRUCTURE = re.compile(r"<\|\"\|>|[{}\[\],]")
PLAIN_KEY = re.compile(r"[^\s,:{}\[\]<](?:[^,:{}\[\]<]*[^\s,:{}\[\]<])?")
"""A key that needs no quotes."""
_LITERAL = re.compile(r"[^,{}\[\]\s<]+")
_WORDS = {"none": None, "null": None, "true": True, "false": False}


def _member(text: str, _tool: Tool | None) -> tuple[str, Any] | None:
    body = text[:-1]
    if text.endswith("}") and not body.strip():
        return None
    reading = _Reading(body)
    pair = reading.pair()
    if reading.skip() != len(body):
        raise MalformedCall(f"a comma is missing at {body[reading.position :][:20]!r}")
    return pair


class MemberExtent:
    """To the comma behind a value, or to the brace behind the last one."""

    ends: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._held = ""

    def push(self, text: str) -> int | None:
        """See Extent."""
        before, position = len(self._held), 0
        text = self._held + text
        for found in _STRUCTURE.finditer(text):
            token, position = found[0], found.end()
            if token == _QUOTE:
                self._quoted = not self._quoted
            elif self._quoted:
                continue
            elif self._depth == 0 and token in (",", "}"):
                return position - before
            else:
                self._depth = max(0, self._depth + {"{": 1, "[": 1, "}": -1, "]": -1}.get(token, 0))
        self._held = text[max(position, len(text) - held_suffix(text, (_QUOTE,))) :]
        return None


class _Reading:
    """Reads values by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.position = 0

    def value(self, depth: int = 0) -> Any:
        """The value that stands here."""
        if depth > _MAX_DEPTH:
            raise MalformedCall(f"its arguments are nested deeper than {_MAX_DEPTH}")
        self.skip()
        if self._take("{"):
            return dict(self._items("}", lambda: self.pair(depth)))
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

    def pair(self, depth: int = 0) -> tuple[str, Any]:
        """The key that stands here, and its value."""
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


_MEMBERS = Members(
    head=re.compile(r"\s*call:\s*(?P<name>[^\s{]+)\s*\{"),
    extent=MemberExtent,
    read=_member,
    closing="}",
)

GEMMA = ToolDialect(
    "gemma",
    read=reader(_MEMBERS),
    extent=lambda: MarkerExtent("<tool_call|>", quote=_QUOTE, escapes=False),
    opens=("<|tool_call>",),
    inside=(_QUOTE,),
    quiet=("<|tool_response>",),
    members=_MEMBERS,
)
