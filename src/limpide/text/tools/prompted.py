"""Tools for chat models that were not tuned for them: all is told in words, calls in the form `hermes` has.

Templates know nothing of this. The tools and the form of a call stand at the head of the conversation, earlier calls in
the assistant's turns, their results in the user's: with these roles alone every chat template can do something.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from limpide.core.messages import Message, Role, Tool
from limpide.text.tools import hermes
from limpide.text.tools.base import ReadCall

_RESULT: Final = ("<tool_response>", "</tool_response>")


def describe(tools: Sequence[Tool]) -> str:
    """The tools, and how to call one."""
    listed = "\n".join(json.dumps(_form(tool), ensure_ascii=False) for tool in tools)
    return (
        f"You can call tools. These are all, one to a line, with their parameters as JSON schemas:\n{listed}\n\n"
        "To call one, write its name and its arguments as JSON between these tags, once for each call, then stop:\n"
        '<tool_call>\n{"name": "the name", "arguments": {"a parameter": "its value"}}\n</tool_call>\n'
        f"What it returns comes back between {_RESULT[0]} and {_RESULT[1]}. Where no tool helps, answer in words."
    )


def _form(tool: Tool) -> dict[str, object]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "parameters": dict(tool.parameters)}


def with_description(messages: Sequence[Message], text: str, *, system: bool) -> list[Message]:
    """A conversation that begins with a text: in the system message, or else in the user's first."""
    role: Role = "system" if system else "user"
    place = next((number for number, message in enumerate(messages) if message.role == role), None)
    if place is None or (system and place > 0):
        return [Message(role, text), *messages]
    told = messages[place]
    content = f"{told.content}\n\n{text}" if system else f"{text}\n\n{told.content}"
    return [*messages[:place], replace(told, content=content), *messages[place + 1 :]]


def in_words(messages: Sequence[Message]) -> list[Message]:
    """A conversation without calls and results: calls become text of the assistant, results text of the user.

    Results stand in the order of their calls, and in one turn with what the user says next: many templates insist on
    roles that alternate.
    """
    out: list[Message] = []
    names: dict[str | None, str] = {}
    results: list[Message] = []
    for message in messages:
        if message.role == "tool":
            results.append(message)
            continue
        told, results = _results(results, names), []
        written = written_out(message, hermes.write)
        if told and message.role == "user":
            written = replace(written, content=f"{told}\n\n{message.content}")
        elif told:
            out.append(Message("user", told))
        if message.tool_calls:
            names = {call.id: call.name for call in message.tool_calls}
        out.append(written)
    told = _results(results, names)
    return [*out, Message("user", told)] if told else out


def _results(results: Sequence[Message], names: dict[str | None, str]) -> str:
    order = {call_id: number for number, call_id in enumerate(names)}
    ordered = sorted(results, key=lambda result: order.get(result.tool_call_id, len(order)))
    return "\n".join(_result(result, names.get(result.tool_call_id)) for result in ordered)


def _result(message: Message, name: str | None) -> str:
    said = f"{name}: {message.content}" if name else message.content
    return f"{_RESULT[0]}\n{said}\n{_RESULT[1]}"


def written_out(message: Message, write: Callable[[Sequence[ReadCall]], str]) -> Message:
    """A message whose calls are text at its end."""
    if not message.tool_calls:
        return message
    written = write([ReadCall(call.name, call.arguments) for call in message.tool_calls])
    return replace(message, content="\n".join(filter(None, (message.content, written))), tool_calls=())


PROMPTED = replace(hermes.HERMES, name="prompted", native=False, describe=describe)
