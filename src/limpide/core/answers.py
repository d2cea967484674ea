"""Whole answers from their events."""

from __future__ import annotations

from collections.abc import Iterable

from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, ToolCallDelta
from limpide.core.messages import ToolCall
from limpide.core.ports import Answer


def collect(events: Iterable[Event]) -> list[Answer]:
    """Add events up to one answer per choice, in the order of the choices."""
    texts: dict[int, list[str]] = {}
    thoughts: dict[int, list[str]] = {}
    ends: dict[int, Finished] = {}
    calls: dict[int, dict[int, ToolCall]] = {}
    for event in events:
        if isinstance(event, TextDelta):
            texts.setdefault(event.index, []).append(event.text)
        elif isinstance(event, ToolCallDelta):
            mine = calls.setdefault(event.index, {})
            known = mine.get(event.call, ToolCall("", "", ""))
            mine[event.call] = ToolCall(
                event.id or known.id, event.name or known.name, known.arguments + event.arguments
            )
        elif isinstance(event, ThinkingDelta):
            thoughts.setdefault(event.index, []).append(event.text)
        elif isinstance(event, Finished):
            ends[event.index] = event
    if not ends:
        raise EngineStopped("the answer broke off before its end", hint="ask again")
    return [
        Answer(
            "".join(texts.get(index, ())),
            "".join(thoughts.get(index, ())),
            ends[index],
            tuple(call for _, call in sorted(calls.get(index, {}).items())),
        )
        for index in sorted(ends)
    ]
