"""What a tool dialect is: where a call stands in the text, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from limpide.core.messages import Tool
from limpide.text.tools.extents import Extent

MAX_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class ReadCall:
    """One call as the model wrote it: `arguments` is the JSON text of an object."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call whose name is known and whose arguments begin now."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of the JSON text of the arguments of the call that was begun last."""

    text: str


class MalformedCall(Exception):
    """What stands where a call should be can't be read; the message says why. It never leaves this package."""


Reader = Callable[[str, Mapping[str, Tool]], Sequence[ReadCall] | None]
"""What stands between the markers, and the tools by name, to calls. Raises MalformedCall; None is no call at all."""


@dataclass(frozen=True, slots=True)
class Members:
    """How arguments that are no JSON stand in a unit: behind a head, one member after another."""

    head: re.Pattern[str]
    """What stands before the first member, the call's name in the group `name`."""
    extent: Callable[[], Extent]
    """Finds where a member ends."""
    read: Callable[[str, Tool | None], tuple[str, Any] | None]
    """A member, its end included, to its name and value; None where the last is none. Raises MalformedCall."""
    closing: str | None = None
    """With what the last member ends; None if only the unit's own end tells that there are no more."""


@dataclass(frozen=True, slots=True)
class ToolDialect:
    """One way in which models call tools. What stands from an opening to its end is a unit; some hold many calls."""

    name: str
    read: Reader
    extent: Callable[[], Extent]
    """Finds where a unit ends."""
    opens: tuple[str, ...] = ()
    """Markers before a unit."""
    begins: tuple[str, ...] = ()
    """Openings that are themselves part of the unit."""
    quiet: tuple[str, ...] = ()
    """Structure around units, which is not shown beside a call."""
    inside: tuple[str, ...] = ()
    """Markers within a unit."""
    heads: tuple[re.Pattern[str], ...] = ()
    """What may stand in a unit before the JSON object of a call's arguments, the call's name in the group `name`.

    With them arguments are passed on while they are written.
    """
    next_heads: tuple[re.Pattern[str], ...] = ()
    """What stands between the arguments of one call and those of the next, where a unit holds many."""
    members: Members | None = None
    """For arguments that are no JSON: they are passed on one by one."""
    at_start: bool = False
    """Openings count only where the answer begins, or right after another call."""
    write: Callable[[Sequence[ReadCall]], str] | None = None
    """An assistant's earlier calls as it would have written them, for templates that have no place for calls."""
    describe: Callable[[Sequence[Tool]], str] | None = None
    """Tools as a system message, for templates that have no place for tools."""
    one_call_a_turn: bool = False
    """Templates take one call per assistant's message: several are told as several messages, each with its result."""
    call_ids: int | None = None
    """Length of the alphanumeric call ids that templates insist on."""
    native: bool = True
    """Whether models were tuned for it, and their templates know it."""
    thinking_beside_content: bool = True
    """Whether templates take a call's message that has both thinking and content."""

    @property
    def markers(self) -> tuple[str, ...]:
        """All text by which units are told from the rest."""
        return (*self.opens, *self.begins, *self.quiet, *self.inside, *self.extent().ends)


def checked_name(name: object) -> str:
    """A tool's name. Raises MalformedCall."""
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise MalformedCall("it names no tool")
    return name.strip()
