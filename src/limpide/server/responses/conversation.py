"""Items as the turns of a conversation: thinking, words and calls of one answer are one turn."""

from __future__ import annotations

from collections.abc import Sequence

from limpide.core.errors import BadRequest
from limpide.core.messages import Message, Role, ToolCall, conversation
from limpide.server.responses.tools import Called
from limpide.server.wire.responses import (
    InputCall,
    InputCallOutput,
    InputItem,
    InputMessage,
    InputReasoning,
    InputRefusal,
    InputText,
)


class _Turns:
    """Collects what belongs to one answer until something else comes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._thinking = ""
        self._content: str | None = None
        self._calls: list[ToolCall] = []

    def think(self, text: str) -> None:
        if self._content is not None or self._calls:
            self.end_answer()
        self._thinking += text

    def say(self, text: str) -> None:
        if self._content is not None or self._calls:
            self.end_answer()
        self._content = text

    def call(self, call: ToolCall) -> None:
        self._calls.append(call)

    def add(self, message: Message) -> None:
        self.end_answer()
        self.messages.append(message)

    def end_answer(self) -> None:
        if self._thinking or self._content is not None or self._calls:
            thinking = self._thinking or None
            self.messages.append(Message("assistant", self._content or "", thinking, tuple(self._calls)))
        self._thinking, self._content, self._calls = "", None, []


def messages_of(items: Sequence[InputItem], instructions: str | None = None) -> tuple[Message, ...]:
    """A conversation as a model is asked it. Raises EmptyPrompt, and BadRequest for a result without its call."""
    turns, called = _Turns(), set[str]()
    for item in items:
        match item:
            case InputReasoning():
                turns.think(_thinking(item))
            case InputMessage(role="assistant"):
                turns.say(_text(item.content))
            case InputMessage():
                role: Role = "user" if item.role == "user" else "system"
                turns.add(Message(role, _text(item.content)))
            case InputCall():
                called.add(item.call_id)
                turns.call(ToolCall(item.call_id, Called(item.name, item.namespace).shown, item.arguments))
            case InputCallOutput():
                if item.call_id not in called:
                    raise BadRequest(
                        f"function_call_output for {item.call_id[:100]!r}, which nothing before it called",
                        expected="the function_call item with that call_id earlier in the conversation",
                    )
                turns.add(Message("tool", _text(item.output), tool_call_id=item.call_id))
    turns.end_answer()
    return conversation(turns.messages, system=instructions)


def _text(content: str | Sequence[InputText | InputRefusal]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.refusal if isinstance(part, InputRefusal) else part.text for part in content)


def _thinking(item: InputReasoning) -> str:
    """The thinking itself; a summary only where there is nothing else."""
    return "".join(part.text for part in item.content or item.summary)
