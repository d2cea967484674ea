"""What is said in a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from limpide.core.errors import EmptyPrompt, InvalidParameter

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model made. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `thinking` is the reasoning that came before an assistant's content."""

    role: Role
    content: str
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidParameter("role", self.role, ", ".join(ROLES))


def conversation(prompt: str | Message | Sequence[Message], *, system: str | None = None) -> tuple[Message, ...]:
    """A prompt in any accepted form as messages. Raises EmptyPrompt if nothing is asked."""
    if isinstance(prompt, str):
        prompt = Message("user", prompt)
    messages = (prompt,) if isinstance(prompt, Message) else tuple(prompt)
    if not any(m.content.strip() or m.tool_calls for m in messages if m.role != "system"):
        raise EmptyPrompt("the prompt is empty", expected="some text to answer")
    return (Message("system", system), *messages) if system else messages
