"""Events of the core as chunks of a chat completion, and chunks folded into a whole one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability, ToolCallDelta
from limpide.core.receipt import Outcome
from limpide.server.wire.base import Reply
from limpide.server.wire.usage import Ends, Extras, FinishReason, UsageReply, finish_reason


class AlternativeToken(Reply):
    """A token that could have come here."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChosenToken(AlternativeToken):
    """The token that came, with the natural logarithm of its probability."""

    top_logprobs: list[AlternativeToken]


class ChatLogprobs(Reply):
    """Of the answer's tokens; those of the thinking stand apart."""

    content: list[ChosenToken] | None
    refusal: list[ChosenToken] | None = None
    reasoning: list[ChosenToken] | None = None


class FunctionPiece(Reply):
    """More of a call; the name comes first, the arguments grow."""

    name: str | None = None
    arguments: str = ""


class CallPiece(Reply):
    """More of the call at this index."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionPiece


class Delta(Reply):
    """More of the message. The thinking comes under both of its names."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallPiece] | None = None


class ChunkChoice(Reply):
    """More of one choice."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatChunk(Reply):
    """A piece of the stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageReply | None = None
    limpide: Extras | None = None


class FunctionCalled(Reply):
    """What the model calls; `arguments` is the JSON text as it wrote it."""

    name: str
    arguments: str


class CallMade(Reply):
    """A call for the client to make."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCalled


class ChatMessage(Reply):
    """The whole answer of one choice."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallMade] | None = None


class ChatChoice(Reply):
    """One choice."""

    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(Reply):
    """A whole chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageReply
    limpide: Extras


class ChatChunks:
    """Turns the events of one answer into chunks, one at a time.

    Each choice opens with its role and ends with an empty delta and its reason. The last chunk of all carries the
    receipt; with `include_usage` that is one without choices, and every chunk before it says that usage is null.
    """

    def __init__(
        self,
        name: str,
        created: int,
        model: str,
        *,
        outcomes: Mapping[str, Outcome],
        choices: int = 1,
        include_usage: bool = False,
        show_thinking: bool = True,
    ) -> None:
        self._name = name
        self._created = created
        self._model = model
        self.ends = Ends(outcomes, choices=choices)
        self._choices = choices
        self._include_usage = include_usage
        self._show_thinking = show_thinking

    def open(self) -> list[ChatChunk]:
        """The first chunk of each choice."""
        return [self._chunk(index, Delta(role="assistant", content="")) for index in range(self._choices)]

    def push(self, event: Event) -> list[ChatChunk]:
        """What an event adds."""
        match event:
            case ThinkingDelta():
                if not self._show_thinking:
                    return []
                logprobs = _logprobs(reasoning=event.logprobs)
                return [self._chunk(event.index, Delta(reasoning=event.text, reasoning_content=event.text), logprobs)]
            case TextDelta():
                return [self._chunk(event.index, Delta(content=event.text), _logprobs(content=event.logprobs))]
            case ToolCallDelta():
                return [self._chunk(event.index, Delta(tool_calls=[_piece(event)]))]
            case Finished():
                chunk = self._chunk(event.index, Delta(), reason=finish_reason(event))
                return self.ends.close(event, chunk, include_usage=self._include_usage)

    def _chunk(
        self, index: int, delta: Delta, logprobs: ChatLogprobs | None = None, reason: FinishReason | None = None
    ) -> ChatChunk:
        choice = ChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=reason)
        rest: dict[str, Any] = {"usage": None} if self._include_usage else {}
        return ChatChunk(
            id=self._name,
            object="chat.completion.chunk",
            created=self._created,
            model=self._model,
            choices=[choice],
            **rest,
        )


class ChatFold:
    """Adds chunks up to the whole completion that they are the stream of."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._folded: dict[int, _Choice] = {}
        self._first: ChatChunk | None = None

    def add(self, chunks: Iterable[ChatChunk]) -> None:
        """More chunks."""
        for chunk in chunks:
            self._first = self._first or chunk
            for choice in chunk.choices:
                self._folded.setdefault(choice.index, _Choice()).add(choice)

    def whole(self) -> ChatCompletion:
        """The completion. Raises EngineStopped if there is no whole one."""
        usage, extras, first = self._ends.usage(), self._ends.extras(), self._first
        if first is None:
            raise EngineStopped("the answer broke off before its beginning", hint="ask again")
        return ChatCompletion(
            id=first.id,
            object="chat.completion",
            created=first.created,
            model=first.model,
            choices=[choice.whole(index) for index, choice in sorted(self._folded.items())],
            usage=usage,
            limpide=extras,
        )


class _Choice:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: dict[int, list[CallPiece]] = {}
        self.content: list[ChosenToken] = []
        self.reasoning: list[ChosenToken] = []
        self.with_logprobs = False
        self.reason: FinishReason = "stop"

    def add(self, choice: ChunkChoice) -> None:
        delta = choice.delta
        self.texts.append(delta.content or "")
        self.thoughts.append(delta.reasoning or "")
        for piece in delta.tool_calls or ():
            self.calls.setdefault(piece.index, []).append(piece)
        if choice.logprobs:
            self.with_logprobs = True
            self.content += choice.logprobs.content or ()
            self.reasoning += choice.logprobs.reasoning or ()
        self.reason = choice.finish_reason or self.reason

    def whole(self, index: int) -> ChatChoice:
        text, thinking = "".join(self.texts), "".join(self.thoughts)
        calls = [_call(pieces) for _, pieces in sorted(self.calls.items())]
        rest: dict[str, Any] = {"reasoning": thinking, "reasoning_content": thinking} if thinking else {}
        if calls:
            rest["tool_calls"] = calls
        message = ChatMessage(role="assistant", content=text or (None if calls else ""), refusal=None, **rest)
        logprobs = None
        if self.with_logprobs:
            apart: dict[str, Any] = {"reasoning": self.reasoning} if self.reasoning else {}
            logprobs = ChatLogprobs(content=self.content, refusal=None, **apart)
        return ChatChoice(index=index, message=message, logprobs=logprobs, finish_reason=self.reason)


def _piece(event: ToolCallDelta) -> CallPiece:
    head: dict[str, Any] = {"id": event.id, "type": "function"} if event.id else {}
    name: dict[str, Any] = {"name": event.name} if event.name else {}
    return CallPiece(index=event.call, **head, function=FunctionPiece(arguments=event.arguments, **name))


def _call(pieces: Iterable[CallPiece]) -> CallMade:
    pieces = list(pieces)
    name = next((piece.function.name for piece in pieces if piece.function.name), "")
    function = FunctionCalled(name=name, arguments="".join(piece.function.arguments for piece in pieces))
    return CallMade(id=next((piece.id for piece in pieces if piece.id), ""), type="function", function=function)


def _logprobs(
    content: tuple[TokenProbability, ...] = (), reasoning: tuple[TokenProbability, ...] = ()
) -> ChatLogprobs | None:
    if not content and not reasoning:
        return None
    apart: dict[str, Any] = {"reasoning": [_chosen(token) for token in reasoning]} if reasoning else {}
    return ChatLogprobs(content=[_chosen(token) for token in content], refusal=None, **apart)


def _chosen(token: TokenProbability) -> ChosenToken:
    top = [AlternativeToken(token=t.text, logprob=t.logprob, bytes=list(t.raw)) for t in token.top]
    return ChosenToken(token=token.text, logprob=token.logprob, bytes=list(token.raw), top_logprobs=top)
