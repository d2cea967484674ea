"""Tool calls out of an answer, while it comes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from limpide.core.messages import Tool
from limpide.text.markers import held_suffix
from limpide.text.tools.arguments import ArgumentStream, CallStream
from limpide.text.tools.base import CallArguments, CallBegun, MalformedCall, ReadCall, ToolDialect
from limpide.text.tools.json_calls import arguments_of, whole
from limpide.text.tools.members import MemberStream

MAX_UNIT: Final = 1 << 20
"""Characters after which a call that does not end is text."""

MAX_QUIET: Final = 4096
"""Characters of white space and structure beside a call that are not shown; what is beyond is text."""
MAX_UNENDED: Final = 16
"""How often what follows the beginning of a call that has no end is searched for other calls."""

_CLOSING: Final = re.compile(r'(?:\s*,\s*"id"\s*:\s*"[^"\\\n]*")?[}\]`\s]*')
"""What ends a call behind its arguments. Models forget a bracket of it, or write one too many."""

_LAST: Final = ("}", "]", "```")
"""With what a call ends that is whole but for its end marker: otherwise more arguments may have been to come."""

Piece = str | CallBegun | CallArguments | ReadCall
"""Text of the answer, the beginning of a call and more of its arguments, or a call as a whole."""


class _Unit:
    """A call that is being written."""

    def __init__(self, dialect: ToolDialect, opening: str, tools: Mapping[str, Tool]) -> None:
        self.opening = opening
        self.extent = dialect.extent()
        ends, members = self.extent.ends, dialect.members
        self.stream: CallStream = (
            MemberStream(members, tools, ends) if members else ArgumentStream(dialect, tools, ends)
        )
        self.complete = False
        """Whether its end was found."""
        self._parts: list[str] = []
        self._size = 0

    def push(self, text: str) -> int | None:
        """More text: how much of it belongs to the unit, if the unit ends here."""
        room = MAX_UNIT - self._size
        end = self.extent.push(text[:room])
        self.complete = end is not None
        if end is None and len(text) > room:
            end = room
        part = text[:end]
        self._parts.append(part)
        self._size += len(part)
        return end

    @property
    def whole(self) -> str:
        """All of it, its end marker included."""
        return "".join(self._parts)

    @property
    def body(self) -> str:
        """What stands before the end marker."""
        body = self.whole
        return next((body.removesuffix(end) for end in self.extent.ends if body.endswith(end)), body)


class ToolScanner:
    """Tells calls from text. What comes out does not depend on how the text is cut into pieces.

    Arguments come out while they are written, those that are JSON character by character (see ArgumentStream), others
    one by one (see MemberStream); a call that then turns out to be malformed keeps what was said of it, and is named in
    `broken`. Where nothing was said before its end a call comes out whole, if it can be read, and is text if it can't.
    White space and structure beside a call are not shown.
    """

    def __init__(self, dialect: ToolDialect, tools: Iterable[Tool]) -> None:
        self._dialect = dialect
        self._tools = {tool.name: tool for tool in tools}
        openings = sorted((*dialect.opens, *dialect.begins), key=len, reverse=True)
        self._opening = re.compile("|".join(map(re.escape, openings)))
        self._tokens = (*openings, *dialect.quiet)
        self._held = ""
        """White space and structure that stand beside a call if one follows, and what may become a marker."""
        self._unit: _Unit | None = None
        self._open = True
        """Whether an opening would count."""
        self._after_call = False
        self._num_unended = 0
        self.num_calls = 0
        self.malformed: list[str] = []
        """Why what looked like a call is not one, for each."""
        self.broken: list[str] = []
        """Which calls were begun and have no arguments that could be read, and why."""

    def push(self, text: str) -> list[Piece]:
        """More of the answer."""
        out: list[Piece] = []
        while text:
            text = self._outside(text, out) if self._unit is None else self._inside(self._unit, text, out)
        return _joined(out)

    def finish(self) -> list[Piece]:
        """No more text will come. A call that is complete but for its end marker is one."""
        out: list[Piece] = []
        while self._unit is not None:
            rest = self._end(self._unit, out)
            out += self.push(rest)
        held, self._held = self._held, ""
        if not (self._after_call and self._content_end(held) == 0):
            out.append(held)
        return _joined(out)

    def _outside(self, text: str, out: list[Piece]) -> str:
        """Text that is no call, up to the next opening. What stands behind that is returned."""
        text, self._held = self._held + text, ""
        if not self._open:
            out.append(text)
            return ""
        found = self._opening.search(text)
        before = text[: found.start()] if found else text[: len(text) - held_suffix(text, self._tokens)]
        end = self._content_end(before)
        if end and self._dialect.at_start:
            self._open = self._after_call = False
            out.append(text)
            return ""
        if end:
            out.append(text[:end])
            self._after_call = False
        if found is None:
            self._held = text[end:]
            return ""
        self._held = before[end:]
        kept = found[0] in self._dialect.begins
        self._unit = _Unit(self._dialect, "" if kept else found[0], self._tools)
        return text[found.start() if kept else found.end() :]

    def _inside(self, unit: _Unit, text: str, out: list[Piece]) -> str:
        """Text of a call. What stands behind it is returned."""
        end = unit.push(text)
        if end is None:
            self._pass_on(unit.stream.push(text), out)
            return ""
        self._pass_on(unit.stream.finish(text[:end]), out)
        return self._end(unit, out) + text[end:]

    def _pass_on(self, pieces: Sequence[CallBegun | CallArguments], out: list[Piece]) -> None:
        """What of a call can be said before its end."""
        out.extend(pieces)
        begun = sum(isinstance(piece, CallBegun) for piece in pieces)
        self.num_calls += begun
        if begun:
            self._held = ""

    def _end_begun(self, unit: _Unit, out: list[Piece]) -> None:
        """Whatever else is wrong with a unit, the calls in it that were begun stay; what follows them is not lost."""
        self._after_call = True
        begun = unit.stream.calls
        for call in begun:
            try:
                arguments_of(call.arguments)
            except MalformedCall as error:
                self.broken.append(f"{call.name}: {error}")
        if unit.stream.open:
            return  # all of it was passed on
        try:
            calls = self._dialect.read(unit.body, self._tools)
            twice = [
                a.name
                for a, b in zip(begun, calls or (), strict=False)
                if whole(a.arguments)[0] != whole(b.arguments)[0]
            ]
        except MalformedCall:
            calls = None
        if calls is not None and len(calls) >= len(begun):
            self.broken.extend(f"{name}: it has its arguments twice" for name in twice)
            out.extend(calls[len(begun) :])
            self.num_calls += len(calls) - len(begun)
            return
        rest = unit.body[unit.stream.position :]
        rest = rest[: len(rest) - held_suffix(rest, unit.extent.ends)]
        if not _CLOSING.fullmatch(rest):
            out.append(rest)

    def _end(self, unit: _Unit, out: list[Piece]) -> str:
        """Read a unit. If it was no call, what has to be looked at again is returned."""
        self._unit = None
        if not unit.complete:
            self._pass_on(unit.stream.finish(), out)
        if unit.stream.calls:
            self._end_begun(unit, out)
            return ""
        held, self._held = self._held, ""
        try:
            if not unit.complete and not unit.body.rstrip().endswith(_LAST):
                raise MalformedCall("it was cut off")
            calls = self._dialect.read(unit.body, self._tools)
        except MalformedCall as error:
            self.malformed.append(str(error) if unit.complete else f"it has no end ({error})")
            calls = None
        self._after_call = bool(calls)
        if calls:
            out.extend(calls)
            self.num_calls += len(calls)
            return ""
        self._num_unended += not unit.complete
        self._open = not self._dialect.at_start and self._num_unended <= MAX_UNENDED
        if unit.complete or not self._open:
            out.append(held + unit.opening + unit.whole)
            return ""
        # Another call may stand behind the beginning of one that has no end.
        first = "" if unit.opening else unit.whole[:1]
        out.append(held + unit.opening + first)
        return unit.whole[len(first) :]

    def _content_end(self, text: str) -> int:
        """Where the white space and structure begin with which the text ends."""
        rest = text.rstrip()
        while quiet := next((q for q in self._dialect.quiet if rest.endswith(q)), None):
            rest = rest.removesuffix(quiet).rstrip()
        return max(len(rest), len(text) - MAX_QUIET)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring texts as one, empty ones left out."""
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and out and isinstance(out[-1], str):
            out[-1] += piece
        elif piece:
            out.append(piece)
    return out
