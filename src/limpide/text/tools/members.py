"""Arguments that are no JSON, read one member after another, and passed on as JSON while the next is being written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from limpide.core.messages import Tool
from limpide.text.tools.arguments import MAX_HEAD, CallStream
from limpide.text.tools.base import CallArguments, CallBegun, MalformedCall, Members, ReadCall, Reader, checked_name

MAX_MEMBERS: Final = 1024
"""Arguments of one call; with more of them it is none."""


class MemberReading:
    """Follows one call's text. Raises MalformedCall where that is none; what was read before that was a call so far."""

    def __init__(self, members: Members, tools: Mapping[str, Tool]) -> None:
        self._members = members
        self._tools = tools
        self.name: str | None = None
        """The tool's name, once its head is complete."""
        self.position = 0
        """Characters up to the end of the last member."""
        self._names: set[str] = set()
        self._extent = members.extent()
        self._parts: list[str] = []
        """What was written behind that."""
        self._closed = False

    def push(self, text: str) -> Iterator[tuple[str, Any]]:
        """More of the text: the members that are complete with it, by name and value."""
        if self.name is None:
            text = self._head(text)
        while text and not self._closed:
            end = self._extent.push(text)
            self._parts.append(text[:end])
            if end is None:
                return
            text = text[end:]
            member = self._member("".join(self._parts))
            if member is not None:
                yield member
        if text:
            self._parts.append(text)

    def finish(self, *, ended: bool) -> str:
        """No more text will come: the name of the tool. ended: the call's own end was there."""
        if self.name is None:
            raise MalformedCall("no name with arguments follows")
        rest = "".join(self._parts).strip()
        if rest:
            raise MalformedCall(f"{rest[:20]!r} is no argument, or has no end")
        if not (self._closed if self._members.closing else ended):
            raise MalformedCall("its arguments have no end")
        return self.name

    def _head(self, text: str) -> str:
        """Look for the beginning of the arguments; what stands behind it is returned."""
        before = "".join((*self._parts, text))
        found = self._members.head.match(before, 0, MAX_HEAD)
        if found is None:
            if len(before) >= MAX_HEAD:
                raise MalformedCall("no name with arguments follows")
            self._parts = [before]
            return ""
        self._parts, self.name, self.position = [], checked_name(found["name"]), found.end()
        return before[found.end() :]

    def _member(self, text: str) -> tuple[str, Any] | None:
        member = self._members.read(text, self._tools.get(self.name or ""))
        self._closed = self._members.closing is not None and text.endswith(self._members.closing)
        if member is None and self._names:
            raise MalformedCall("an argument is missing")
        if member is not None:
            if member[0] in self._names:
                raise MalformedCall(f"it has {member[0][:100]} twice")
            self._names.add(member[0])
        if len(self._names) > MAX_MEMBERS:
            raise MalformedCall(f"it has more than {MAX_MEMBERS} arguments")
        self._parts, self._extent = [], self._members.extent()
        self.position += len(text)
        return member


def reader(members: Members) -> Reader:
    """As a dialect's reader."""

    def read(text: str, tools: Mapping[str, Tool]) -> list[ReadCall]:
        reading = MemberReading(members, tools)
        arguments = dict(reading.push(text))
        return [ReadCall(reading.finish(ended=True), json.dumps(arguments, ensure_ascii=False))]

    return read


class MemberStream(CallStream):
    """Passes on the arguments of one call, each when its text is complete.

    The call is begun with the first of them, and the JSON object is closed when the call has ended as it should.
    """

    def __init__(self, members: Members, tools: Mapping[str, Tool], ends: tuple[str, ...]) -> None:
        super().__init__(ends)
        self._tools = tools
        self._reading: MemberReading | None = MemberReading(members, tools)
        """None once nothing more can be passed on."""
        self._begun: list[str] = []
        self._parts: list[str] = []

    @property
    def calls(self) -> list[ReadCall]:
        """See CallStream."""
        return [ReadCall(name, "".join(self._parts)) for name in self._begun]

    def _follow(self, text: str) -> list[CallBegun | CallArguments]:
        out: list[CallBegun | CallArguments] = []
        reading = self._reading
        if reading is None:
            return out
        try:
            for key, value in reading.push(text):
                out += self._told(reading, key, value)
        except MalformedCall:
            self._reading = None
        if reading.name is not None and reading.name not in self._tools:
            self._reading = None
        return out

    def _told(self, reading: MemberReading, key: str, value: Any) -> list[CallBegun | CallArguments]:
        if reading.name is None or reading.name not in self._tools:
            return []
        begun = [] if self._begun else [CallBegun(reading.name)]
        self._begun = [reading.name]
        self.position = reading.position
        return [*begun, self._argue(f"{'{' if begun else ', '}{_written(key)}: {_written(value)}")]

    def _close(self, *, ended: bool) -> list[CallBegun | CallArguments]:
        if not (self._begun and self._reading):
            return []
        try:
            self._reading.finish(ended=ended)
        except MalformedCall:
            return []
        return [self._argue("}")]

    def _argue(self, text: str) -> CallArguments:
        self._parts.append(text)
        return CallArguments(text)


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
