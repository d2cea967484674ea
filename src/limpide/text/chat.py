"""A conversation to token ids, so that nothing anybody wrote in it can become a special token."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from limpide.core.errors import TemplateError
from limpide.core.messages import Message, Tool, ToolCall
from limpide.text.template import ChatTemplate
from limpide.text.thinking_dialects import THINKING_MARKERS
from limpide.text.tokenizer import Tokenizer


def encode_chat(
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Sequence[Message],
    *,
    tools: Sequence[Tool] = (),
    add_generation_prompt: bool = True,
    suffix: str | Callable[[str], str] = "",
    rewrite: Callable[[Sequence[Message], Sequence[Tool]], Sequence[Message]] | None = None,
    **kwargs: Any,
) -> list[int]:
    """Token ids of a conversation under its template, ready to be continued by the model.

    `suffix` is trusted text that follows the rendered prompt, or makes it from the prompt; what `rewrite` adds to the
    messages is trusted, too; other `kwargs` are for `ChatTemplate.render`. Only these and the template bring special
    tokens: what looks like one in a message, a tool or a tool call is encoded as the characters it consists of. The one
    exception are the thinking tags in an assistant's earlier turns, which are what they look like.
    Raises TemplateError as `ChatTemplate.render` does.
    """
    shield = _Shield(tokenizer)
    shielded: Sequence[Message] = [shield.message(message) for message in messages]
    shown = [shield.tool(tool) for tool in tools]
    prompt = template.render(
        rewrite(shielded, shown) if rewrite else shielded,
        tools=shown,
        add_generation_prompt=add_generation_prompt,
        **kwargs,
    )
    return shield.encode(prompt + (suffix if isinstance(suffix, str) else suffix(prompt)))


def render_chat(template: ChatTemplate, messages: Sequence[Message], *, suffix: str = "", **kwargs: Any) -> str:
    """The prompt as text, for people to look at; encode conversations with `encode_chat` only."""
    return template.render(messages, **kwargs) + suffix


class _Shield:
    """Replaces every character that can begin a special token by a number nobody can guess, and puts it back later.

    Replacing whole look-alikes would not do: a template may cut a message and join its ends into a new one. Digits are
    used because no template changes them (case, white space, JSON).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        starts = sorted({text[0] for text in tokenizer.special_tokens})
        self._stand_ins = _draw_stand_ins(starts, tokenizer.special_tokens)
        self._literals = {stand_in: character for character, stand_in in self._stand_ins.items()}
        self._start = _any_of(starts)
        self._stand_in = _any_of(self._literals)
        self._tag_or_start = _any_of((*THINKING_MARKERS, *starts))

    def text(self, text: str, *, keep_tags: bool = False) -> str:
        """Text that can't be or become a special token."""
        pattern = self._tag_or_start if keep_tags else self._start
        return pattern.sub(lambda found: self._stand_ins.get(found[0], found[0]), text)

    def message(self, message: Message) -> Message:
        """A message with all its text shielded."""
        return replace(
            message,
            content=self.text(message.content, keep_tags=message.role == "assistant"),
            thinking=None if message.thinking is None else self.text(message.thinking),
            tool_calls=tuple(
                ToolCall(self.text(call.id), self.text(call.name), self.text(call.arguments))
                for call in message.tool_calls
            ),
            tool_call_id=None if message.tool_call_id is None else self.text(message.tool_call_id),
        )

    def tool(self, tool: Tool) -> Tool:
        """A tool with all its text shielded."""
        parameters = _map_strings(tool.parameters, self.text)
        return Tool(self.text(tool.name), self.text(tool.description), parameters)

    def encode(self, prompt: str) -> list[int]:
        """Ids of a rendered prompt: special tokens where the template wrote them, literal text between them."""
        ids: list[int] = []
        for part in self._tokenizer.split_special(prompt):
            if isinstance(part, int):
                ids.append(part)
            else:
                literal = self._stand_in.sub(lambda found: self._literals[found[0]], part)
                ids.extend(self._tokenizer.encode_part(literal, first=not ids))
        return ids


def _any_of(texts: Sequence[str] | Mapping[str, str]) -> re.Pattern[str]:
    """Pattern of any of the texts, the longest first; of nothing if there are none."""
    ordered = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered)) if ordered else r"(?!)")


def _draw_stand_ins(characters: Sequence[str], special: Mapping[str, int]) -> dict[str, str]:
    """A stand-in for each character: 24 digits, the same number of them so that none is part of another."""
    for _ in range(8):
        stand_ins = {character: str(10**23 + secrets.randbelow(9 * 10**23)) for character in characters}
        drawn = set(stand_ins.values())
        if len(drawn) == len(characters) and not any(text in number for text in special for number in drawn):
            return stand_ins
    raise TemplateError("the tokenizer's special tokens leave no way to mark literal text")


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with every string changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_map_strings(key, change): _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(item, change) for item in value]
    return value
