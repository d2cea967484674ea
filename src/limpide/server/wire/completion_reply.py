"""Events of the core as chunks of a raw completion, and chunks folded into a whole one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability
from limpide.server.wire.base import Reply
from limpide.server.wire.usage import Ends, Extras, FinishReason, UsageReply, finish_reason


class TextLogprobs(Reply):
    """Of the answer's tokens, in four lists of the same length."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class TextChoice(Reply):
    """One answer, or more of it."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: FinishReason | None


class TextCompletion(Reply):
    """A whole raw completion, or a piece of its stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageReply | None = None
    limpide: Extras | None = None


class TextChunks:
    """Turns the events of one request into chunks. The last of all carries the receipt.

    prompts: what stands in front of the answers to each prompt, if it is echoed; empty text otherwise.
    """

    def __init__(
        self,
        name: str,
        created: int,
        model: str,
        *,
        ends: Ends,
        prompts: Sequence[str],
        choices: int,
        include_usage: bool = False,
    ) -> None:
        self.ends = ends
        self._head: dict[str, Any] = {"id": name, "object": "text_completion", "created": created, "model": model}
        self._rest: dict[str, Any] = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        self._echoed = [prompt for prompt in prompts for _ in range(choices)]
        self._lengths = [len(prompt) for prompt in self._echoed]

    def open(self) -> list[TextCompletion]:
        """The echoed prompts."""
        return [self._chunk(index, prompt) for index, prompt in enumerate(self._echoed) if prompt]

    def push(self, event: Event) -> list[TextCompletion]:
        """What an event adds. Thinking is not told apart in raw text, and there are no calls."""
        match event:
            case TextDelta() | ThinkingDelta():
                return [self._chunk(event.index, event.text, self._logprobs(event.index, event.logprobs))]
            case Finished():
                chunk = self._chunk(event.index, "", reason=finish_reason(event))
                return self.ends.close(event, chunk, include_usage=self._include_usage)
            case _:
                return []

    def _chunk(
        self, index: int, text: str, logprobs: TextLogprobs | None = None, reason: FinishReason | None = None
    ) -> TextCompletion:
        choice = TextChoice(index=index, text=text, logprobs=logprobs, finish_reason=reason)
        return TextCompletion(**self._head, choices=[choice], **self._rest)

    def _logprobs(self, index: int, tokens: Sequence[TokenProbability]) -> TextLogprobs | None:
        if not tokens:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._lengths[index])
            self._lengths[index] += len(token.text)
        with_top = any(token.top for token in tokens)
        return TextLogprobs(
            tokens=[token.text for token in tokens],
            token_logprobs=[token.logprob for token in tokens],
            top_logprobs=[{t.text: t.logprob for t in token.top} for token in tokens] if with_top else None,
            text_offset=offsets,
        )


class TextFold:
    """Adds chunks up to the whole completion that they are the stream of."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._pieces: dict[int, list[TextChoice]] = {}
        self._first: TextCompletion | None = None

    def add(self, chunks: Iterable[TextCompletion]) -> None:
        """More chunks."""
        for chunk in chunks:
            self._first = self._first or chunk
            for choice in chunk.choices:
                self._pieces.setdefault(choice.index, []).append(choice)

    def whole(self, *, written: int, kept: int, with_logprobs: bool) -> TextCompletion:
        """The completion: of the `written` answers to each prompt, the `kept` that were the most likely.

        Raises EngineStopped if there is no whole one.
        """
        usage, extras, first = self._ends.usage(), self._ends.extras(), self._first
        if first is None:
            raise EngineStopped("the answer broke off before its beginning", hint="ask again")
        choices = [_whole(pieces) for _, pieces in sorted(self._pieces.items())]
        best = [c for at in range(0, len(choices), written) for c in _best(choices[at : at + written], kept)]
        for index, choice in enumerate(best):
            choice.index = index
            choice.logprobs = choice.logprobs if with_logprobs else None
        return first.model_copy(update={"choices": best, "usage": usage, "limpide": extras})


def _whole(pieces: Sequence[TextChoice]) -> TextChoice:
    parts = [piece.logprobs for piece in pieces if piece.logprobs]
    logprobs = None
    if parts:
        tops = [part.top_logprobs for part in parts]
        logprobs = TextLogprobs(
            tokens=[token for part in parts for token in part.tokens],
            token_logprobs=[value for part in parts for value in part.token_logprobs],
            top_logprobs=None if None in tops else [top for part in tops for top in part or ()],
            text_offset=[at for part in parts for at in part.text_offset],
        )
    return TextChoice(
        index=pieces[0].index,
        text="".join(piece.text for piece in pieces),
        logprobs=logprobs,
        finish_reason=pieces[-1].finish_reason,
    )


def _best(choices: list[TextChoice], kept: int) -> list[TextChoice]:
    """The ones with the highest mean log-probability of a token, in the order in which they were written."""
    if kept == len(choices):
        return choices

    def mean(choice: TextChoice) -> float:
        values = choice.logprobs.token_logprobs if choice.logprobs else []
        return sum(values) / len(values) if values else float("-inf")

    best = sorted(choices, key=mean, reverse=True)[:kept]
    return sorted(best, key=lambda choice: choice.index)
