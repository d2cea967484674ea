"""Events of the core as the events of a message, and events folded into a whole one: Anthropic's dialect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic_core import from_json

from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from limpide.core.receipt import Outcome
from limpide.server.wire.base import Reply
from limpide.server.wire.usage import Ends, Extras

SIGNATURE = "limpide-unsigned"
"""Stands where Anthropic signs its thinking. It proves nothing, and nothing asks it to: see docs/messages.md."""
INVALID_JSON = "INVALID_JSON"
"""The one name in an input that is no JSON object; its value is the text as the model wrote it."""

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class TextReply(Reply):
    """Some of the answer."""

    type: Literal["text"]
    text: str


class ThinkingReply(Reply):
    """Some of the thinking."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUseReply(Reply):
    """A call for the client to make."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]
    """Text that is no JSON object, as of a call that was cut off, stands in it as `INVALID_JSON`."""


BlockReply = TextReply | ThinkingReply | ToolUseReply


class OutputDetails(Reply):
    """Of the generated tokens."""

    thinking_tokens: int


class MessageUsage(Reply):
    """True counts. The prompt has `input_tokens` and `cache_read_input_tokens` together."""

    input_tokens: int
    """Of the prompt, those that were computed."""
    cache_creation_input_tokens: int
    """Always 0: whatever is computed is kept while there is room, and nothing is counted twice."""
    cache_read_input_tokens: int
    """Of the prompt, those that were in the cache."""
    output_tokens: int
    """Thinking and answer."""
    output_tokens_details: OutputDetails


class MessageReply(Reply):
    """A whole message, or the frame of one that is streamed."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[BlockReply]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage
    limpide: Extras | None = None


class MessageStart(Reply):
    """The message without its content. Until the end it is not known what of the prompt was in the cache."""

    type: Literal["message_start"]
    message: MessageReply


class BlockStart(Reply):
    """A block, still empty."""

    type: Literal["content_block_start"]
    index: int
    content_block: BlockReply


class TextPiece(Reply):
    """More of a text."""

    type: Literal["text_delta"]
    text: str


class ThinkingPiece(Reply):
    """More of the thinking."""

    type: Literal["thinking_delta"]
    thinking: str


class SignaturePiece(Reply):
    """The end of some thinking."""

    type: Literal["signature_delta"]
    signature: str


class InputPiece(Reply):
    """More of a call's input, as JSON text."""

    type: Literal["input_json_delta"]
    partial_json: str


class BlockDelta(Reply):
    """More of a block."""

    type: Literal["content_block_delta"]
    index: int
    delta: TextPiece | ThinkingPiece | SignaturePiece | InputPiece


class BlockStop(Reply):
    """A block is whole."""

    type: Literal["content_block_stop"]
    index: int


class Ending(Reply):
    """Why the message ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(Reply):
    """What is known at the end. Its counts stand in place of the first event's."""

    type: Literal["message_delta"]
    delta: Ending
    usage: MessageUsage
    limpide: Extras


class MessageStop(Reply):
    """The end of the stream."""

    type: Literal["message_stop"]


MessageEvent = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop
EVENTS: tuple[type[Reply], ...] = (MessageStart, BlockStart, BlockDelta, BlockStop, MessageDelta, MessageStop)


class MessageEvents:
    """Turns the events of one answer into those of a message, one at a time.

    Blocks come one after another. prompt_tokens: how many the prompt has; outcomes: what the receipt says beyond the
    engine's own; max_tokens: the limit that was asked for; show_thinking: whether thinking blocks have their text.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        prompt_tokens: int,
        outcomes: Mapping[str, Outcome],
        max_tokens: int,
        show_thinking: bool = True,
    ) -> None:
        self._name = name
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._max_tokens = max_tokens
        self._show_thinking = show_thinking
        self._ends = Ends(outcomes, choices=1)
        self._index = -1
        self._open: tuple[str, int] | None = None
        """Kind of the open block and, of a call, which."""

    def open(self) -> list[MessageEvent]:
        """How the stream begins."""
        message = MessageReply(
            id=self._name,
            type="message",
            role="assistant",
            model=self._model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=message_usage(Usage(self._prompt_tokens, 0, 0, 0)),
        )
        return [MessageStart(type="message_start", message=message)]

    def push(self, event: Event) -> list[MessageEvent]:
        """What an event adds."""
        match event:
            case ThinkingDelta(text=text) if text:
                begun = self._begin(("thinking", 0), ThinkingReply(type="thinking", thinking="", signature=""))
                piece = ThinkingPiece(type="thinking_delta", thinking=text)
                return [*begun, self._delta(piece)] if self._show_thinking else begun
            case TextDelta(text=text) if text:
                begun = self._begin(("text", 0), TextReply(type="text", text=""))
                return [*begun, self._delta(TextPiece(type="text_delta", text=text))]
            case ToolCallDelta():
                block = ToolUseReply(type="tool_use", id=event.id or "", name=event.name or "", input={})
                begun = self._begin(("tool_use", event.call), block)
                if not event.arguments:
                    return begun
                return [*begun, self._delta(InputPiece(type="input_json_delta", partial_json=event.arguments))]
            case Finished():
                return [*self._close(), self._end(event)]
            case _:
                return []

    def close(self) -> list[MessageEvent]:
        """How the stream ends. Raises EngineStopped if the answer did not come to its end."""
        self._ends.check()
        return [MessageStop(type="message_stop")]

    def _begin(self, kind: tuple[str, int], block: BlockReply) -> list[MessageEvent]:
        """Have a block of this kind open."""
        if self._open == kind:
            return []
        closed = self._close()
        self._open = kind
        self._index += 1
        return [*closed, BlockStart(type="content_block_start", index=self._index, content_block=block)]

    def _close(self) -> list[MessageEvent]:
        kind, self._open = self._open, None
        if kind is None:
            return []
        stop = BlockStop(type="content_block_stop", index=self._index)
        if kind[0] != "thinking":
            return [stop]
        return [self._delta(SignaturePiece(type="signature_delta", signature=SIGNATURE)), stop]

    def _delta(self, piece: TextPiece | ThinkingPiece | SignaturePiece | InputPiece) -> BlockDelta:
        return BlockDelta(type="content_block_delta", index=self._index, delta=piece)

    def _end(self, event: Finished) -> MessageDelta:
        self._ends.add(event)
        ending = Ending(stop_reason=stop_reason(event, self._max_tokens), stop_sequence=event.stop)
        extras = self._ends.extras()
        return MessageDelta(type="message_delta", delta=ending, usage=message_usage(event.usage), limpide=extras)


class MessageFold:
    """Adds events up to the whole message that they are the stream of."""

    def __init__(self) -> None:
        self._message: MessageReply | None = None
        self._blocks: list[tuple[BlockReply, list[str]]] = []
        self._end: MessageDelta | None = None

    def add(self, events: Iterable[MessageEvent]) -> None:
        """More events."""
        for event in events:
            match event:
                case MessageStart():
                    self._message = event.message
                case BlockStart():
                    self._blocks.append((event.content_block, []))
                case BlockDelta():
                    self._add(event.index, event.delta)
                case MessageDelta():
                    self._end = event
                case _:
                    pass

    def whole(self) -> MessageReply:
        """The message. Raises EngineStopped if there is no whole one."""
        if self._message is None or self._end is None:
            raise EngineStopped("the answer broke off before its end", hint="ask again")
        ending = self._end.delta
        return self._message.model_copy(
            update={
                "content": [_whole(block, "".join(pieces)) for block, pieces in self._blocks],
                "stop_reason": ending.stop_reason,
                "stop_sequence": ending.stop_sequence,
                "usage": self._end.usage,
                "limpide": self._end.limpide,
            }
        )

    def _add(self, index: int, piece: TextPiece | ThinkingPiece | SignaturePiece | InputPiece) -> None:
        block, pieces = self._blocks[index]
        match piece:
            case TextPiece():
                pieces.append(piece.text)
            case ThinkingPiece():
                pieces.append(piece.thinking)
            case InputPiece():
                pieces.append(piece.partial_json)
            case SignaturePiece():
                self._blocks[index] = (block.model_copy(update={"signature": piece.signature}), pieces)


def message_usage(usage: Usage) -> MessageUsage:
    """Counts in this dialect's words."""
    return MessageUsage(
        input_tokens=usage.prompt_tokens - usage.cached_tokens,
        cache_creation_input_tokens=0,
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.generated_tokens,
        output_tokens_details=OutputDetails(thinking_tokens=usage.thinking_tokens),
    )


def stop_reason(end: Finished, max_tokens: int) -> StopReason:
    """Anthropic's word for an end. It has none for an answer that was cut off by other means than a limit."""
    match end.reason:
        case "tool_calls":
            return "tool_use"
        case "stop":
            return "end_turn" if end.stop is None else "stop_sequence"
        case "length" if end.usage.generated_tokens < max_tokens:
            return "model_context_window_exceeded"
        case _:
            return "max_tokens"


def read_input(text: str) -> dict[str, Any]:
    """A call's input. Half of one must never pass for a whole: what is no JSON object comes as a text."""
    if not text.strip():
        return {}
    try:
        value = from_json(text, allow_inf_nan=False)
        json.dumps(value, allow_nan=False)
    except ValueError:
        return {INVALID_JSON: text}
    return value if isinstance(value, dict) else {INVALID_JSON: text}


def _whole(block: BlockReply, text: str) -> BlockReply:
    match block:
        case TextReply():
            return block.model_copy(update={"text": text})
        case ThinkingReply():
            return block.model_copy(update={"thinking": text})
        case ToolUseReply():
            return block.model_copy(update={"input": read_input(text)})
