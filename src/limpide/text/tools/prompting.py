"""How a conversation with tools is put to a model. What its template can do is found by trying."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

from limpide.core.errors import InvalidParameter, TemplateError
from limpide.core.messages import Message, Tool, ToolCall
from limpide.text.template import CallForm, ChatTemplate
from limpide.text.tools.base import ToolDialect
from limpide.text.tools.prompted import in_words, with_description, written_out

_FORMS: Final = tuple(
    CallForm(arguments_as_text=text, empty_content=empty) for text in (False, True) for empty in ("", None)
)
_TOOL: Final = Tool(
    "limpide_probe", "looks", {"type": "object", "properties": {"needle": {"type": "string", "description": "what"}}}
)
_CALL: Final = ToolCall("a1b2c3d4e", _TOOL.name, json.dumps({"needle": "haystack"}))
_RESULT: Final = "f0und"
_WORDS: Final = "b3side"
_OPENING_LENGTH: Final = 8
"""Characters by which the opening of a turn is known: more may depend on what is asked."""

Rewrite = Callable[[Sequence[Message], Sequence[Tool]], Sequence[Message]]


@dataclass(frozen=True, slots=True)
class ToolPrompt:
    """What to give to the template."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tools_key: str = "tools"
    form: CallForm = _FORMS[0]
    rewrite: Rewrite | None = None
    """Applied when nothing in messages and tools can become a special token any more: what it adds can."""
    note: str | None = None
    """What a receipt should say of the tools."""
    left_out: str | None = None
    """What of the messages the model does not see, for the receipt."""


class ToolPrompting:
    """One template's way with tools. A call or a tool that the model would not see is an error, never left out."""

    def __init__(self, template: ChatTemplate, dialect: ToolDialect) -> None:
        self._template = template
        self._dialect = dialect

    def prepare(self, messages: Sequence[Message], tools: Sequence[Tool]) -> ToolPrompt:
        """The conversation as the template takes it.

        Raises InvalidParameter if the model can't be given tools, or can't be told of the calls in the conversation.
        """
        prompt = ToolPrompt(tuple(messages))
        if not self._dialect.native:
            return self._in_words(prompt, tuple(tools))
        if tools:
            prompt = self._with_tools(prompt, tuple(tools))
        if any(message.tool_calls for message in messages):
            prompt = self._with_calls(prompt)
        return prompt

    @cached_property
    def tools_key(self) -> str | None:
        """The variable in which the template looks for tools; None if it shows none."""
        keys = ("tools", *(key for key in ("xml_tools",) if key in self._template.source))
        return next((key for key in keys if _TOOL.name in self._try([Message("user", "hello")], key)), None)

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template shows a system message."""
        talk = [Message("system", _WORDS), Message("user", "hello")]
        try:
            return _WORDS in self._template.render(talk)
        except TemplateError:
            return False

    @cached_property
    def call_form(self) -> CallForm | None:
        """How the template takes an assistant's earlier calls and their results; None if it shows none."""
        talk = [
            Message("user", "hello"),
            Message("assistant", "", tool_calls=(_CALL,)),
            Message("tool", _RESULT, tool_call_id=_CALL.id),
        ]
        for form in _FORMS:
            shown = self._try(talk, self.tools_key or "tools", form)
            quoted_twice = '\\"needle' in shown or "'needle'" in shown
            if "needle" in shown and "haystack" in shown and _RESULT in shown and not quoted_twice:
                return form
        return None

    @cached_property
    def beside(self) -> Literal["shown", "apart", "lost"]:
        """What the template does with a call's message that has content, too; apart: it takes them as two messages."""
        speaks, calls = Message("assistant", _WORDS), Message("assistant", "", tool_calls=(_CALL,))
        ways: tuple[tuple[Literal["shown", "apart"], list[Message]], ...] = (
            ("shown", [replace(calls, content=_WORDS)]),
            ("apart", [speaks, calls]),
        )
        for way, middle in ways:
            result = Message("tool", _RESULT, tool_call_id=_CALL.id)
            talk = [Message("user", "hello"), *middle, result, Message("assistant", "done"), Message("user", "next")]
            shown = self._try(talk, self.tools_key or "tools", self.call_form or _FORMS[0])
            words, call = shown.find(_WORDS), shown.find("haystack")
            # Some templates put the words behind the call, or behind its result, or end the turn between the two.
            if 0 <= words < call and (way == "shown" or self._opening in shown[words:call]):
                return way
        return "lost"

    @cached_property
    def _opening(self) -> str:
        """How the template opens the assistant's turn: what it writes first of the generation prompt."""
        asked = [Message("user", "hello")]
        turn = self._try(asked, "tools").removeprefix(self._try(asked, "tools", add_generation_prompt=False))
        return turn[:_OPENING_LENGTH]

    def _try(
        self,
        messages: Sequence[Message],
        tools_key: str,
        form: CallForm = _FORMS[0],
        *,
        add_generation_prompt: bool = True,
    ) -> str:
        tools = [_TOOL] if len(messages) == 1 or self.tools_key else []
        try:
            return self._template.render(
                messages, tools=tools, tools_key=tools_key, form=form, add_generation_prompt=add_generation_prompt
            )
        except TemplateError:
            return ""

    def _in_words(self, prompt: ToolPrompt, tools: tuple[Tool, ...]) -> ToolPrompt:
        """All that the template does not know told in words."""
        if not tools and not any(message.tool_calls or message.role == "tool" for message in prompt.messages):
            return prompt
        describe, system = self._dialect.describe, self.takes_system

        def rewrite(messages: Sequence[Message], shown: Sequence[Tool]) -> Sequence[Message]:
            messages = in_words(messages)
            return with_description(messages, describe(shown), system=system) if describe and shown else messages

        where = "system message" if system else "user's first message"
        note = f"prompted, not native: the chat template knows no tool calls, so the {where} describes the tools"
        return replace(prompt, tools=tools, tools_key="", rewrite=rewrite, note=note if tools else None)

    def _with_tools(self, prompt: ToolPrompt, tools: tuple[Tool, ...]) -> ToolPrompt:
        names = [tool.name for tool in tools]
        if self.tools_key is not None:
            return replace(prompt, tools=tools, tools_key=self.tools_key)
        describe = self._dialect.describe
        if describe is None:
            raise InvalidParameter(
                "tools",
                names,
                "none: the chat template of this model has no place for tools",
                hint='another file of the model, with a chat template for tools; or `tool_dialect="prompted"`',
            )

        def rewrite(messages: Sequence[Message], shown: Sequence[Tool]) -> Sequence[Message]:
            return with_description(messages, describe(shown), system=True)

        note = "the chat template has no place for tools, so the system message describes them"
        return replace(prompt, tools=tools, rewrite=rewrite, tools_key="", note=note)

    def _with_calls(self, prompt: ToolPrompt) -> ToolPrompt:
        dialect = self._dialect
        prompt = replace(prompt, messages=arrange(prompt.messages, dialect))
        if self.call_form is not None:
            return self._with_content(replace(prompt, form=self.call_form))
        if dialect.write is None:
            raise InvalidParameter(
                "messages",
                "with tool calls",
                "none: the chat template of this model has no place for earlier calls and their results",
                hint="tell the results in a user's message",
            )
        write, before = dialect.write, prompt.rewrite

        def rewrite(messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
            messages = before(messages, tools) if before else messages
            return [written_out(message, write) for message in messages]

        return replace(prompt, rewrite=rewrite)

    def _with_content(self, prompt: ToolPrompt) -> ToolPrompt:
        if not any(message.tool_calls and message.content for message in prompt.messages) or self.beside == "shown":
            return prompt
        if self.beside == "apart":
            apart = [part for message in prompt.messages for part in _content_apart(message)]
            return replace(prompt, messages=tuple(apart))
        silent = tuple(replace(m, content="") if m.tool_calls else m for m in prompt.messages)
        left_out = "the chat template has no place for what is said beside a tool call"
        return replace(prompt, messages=silent, left_out=left_out)


def arrange(messages: Sequence[Message], dialect: ToolDialect) -> tuple[Message, ...]:
    """A conversation with calls as the templates of a dialect insist on having it."""
    if dialect.call_ids:
        messages = [_with_short_ids(message, dialect.call_ids) for message in messages]
    if dialect.one_call_a_turn:
        messages = _one_call_a_turn(messages)
    if not dialect.thinking_beside_content:
        messages = [_thinking_alone(message) for message in messages]
    return tuple(messages)


def _one_call_a_turn(messages: Sequence[Message]) -> list[Message]:
    """Several calls of one message become several messages, each followed by its result."""
    out: list[Message] = []
    rest = list(messages)
    while rest:
        message = rest.pop(0)
        if len(message.tool_calls) < 2:
            out.append(message)
            continue
        results: list[Message] = []
        while rest and rest[0].role == "tool":
            results.append(rest.pop(0))
        for number, call in enumerate(message.tool_calls):
            content, thinking = (message.content, message.thinking) if number == 0 else ("", None)
            out.append(replace(message, content=content, thinking=thinking, tool_calls=(call,)))
            mine = [r for r in results if r.tool_call_id == call.id] or [r for r in results if r.tool_call_id is None][
                :1
            ]
            out += mine
            results = [r for r in results if all(r is not taken for taken in mine)]
        out += results
    return out


def _with_short_ids(message: Message, length: int) -> Message:
    def short(call_id: str) -> str:
        fits = len(call_id) == length and call_id.isascii() and call_id.isalnum()
        return call_id if fits else hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:length]

    return replace(
        message,
        tool_calls=tuple(replace(call, id=short(call.id)) for call in message.tool_calls),
        tool_call_id=None if message.tool_call_id is None else short(message.tool_call_id),
    )


def _thinking_alone(message: Message) -> Message:
    if not (message.tool_calls and message.thinking and message.content):
        return message
    return replace(message, thinking=f"{message.thinking}\n\n{message.content}", content="")


def _content_apart(message: Message) -> list[Message]:
    if not (message.tool_calls and message.content):
        return [message]
    return [replace(message, thinking=None, tool_calls=()), replace(message, content="")]
