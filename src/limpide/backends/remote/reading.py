"""Chunks of a stream in OpenAI's dialect, as events.

They come from a stranger: nothing about them is taken for granted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast, get_args

from limpide.core.errors import EndpointFailed
from limpide.core.events import (
    Event,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    TokenProbability,
    ToolCallDelta,
    Usage,
)
from limpide.core.receipt import Outcome, Receipt

REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "aborted",
}
_NO_RECEIPT = "sent; the endpoint does not say what became of it"


class Chunks:
    """Reads the chunks of one answer with one choice.

    name: what the endpoint is called in errors. sent: the request's fields, for a receipt where the endpoint has none.
    """

    def __init__(self, name: str, sent: Mapping[str, Any], outcomes: Mapping[str, Outcome], model: str) -> None:
        self._name = name
        self._sent = sent
        self._outcomes = outcomes
        self._model = model
        self._started = time.perf_counter()
        self._first: float | None = None
        self._reason: FinishReason | None = None
        self._usage: Mapping[str, Any] = {}
        self._limpide: Mapping[str, Any] = {}
        self._chunks_of_thinking = 0
        self._chunks_of_text = 0

    def events(self, chunks: Iterable[Any]) -> Iterator[Event]:
        """The events of the whole answer, Finished last. Raises EndpointFailed if it has no end or makes no sense."""
        for chunk in chunks:
            fields = self._mapping(chunk, "chunk")
            self._model = _text(fields.get("model")) or self._model
            self._usage = _mapping(fields.get("usage")) or self._usage
            self._limpide = _mapping(fields.get("limpide")) or self._limpide
            for choice in self._list(fields.get("choices"), "choices"):
                yield from self._choice(self._mapping(choice, "choice"))
        if self._reason is None:
            raise EndpointFailed(f"{self._name} stopped in the middle of its answer", hint="ask again")
        yield Finished(self._reason, self._counts(), self._receipt(), stop=_text(self._end.get("stop")))

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        if choice.get("index", 0) != 0:
            raise EndpointFailed(f"{self._name} sent choice {choice.get('index')!r}, where one was asked for")
        logprobs = _mapping(choice.get("logprobs"))
        if "delta" in choice:
            events = self._delta(self._mapping(choice["delta"], "delta"), logprobs)
        else:  # a raw completion
            events = self._text(choice, logprobs)
        for event in events:
            if self._first is None:
                self._first = time.perf_counter()
            yield event
        if (reason := choice.get("finish_reason")) is not None:
            if reason not in REASONS:
                raise EndpointFailed(f"{self._name} ended for an unknown reason: {str(reason)[:80]!r}")
            self._reason = REASONS[reason]

    def _delta(self, delta: Mapping[str, Any], logprobs: Mapping[str, Any]) -> Iterator[Event]:
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        thought_tokens = self._tokens(logprobs.get("reasoning"))
        if thought or thought_tokens:
            self._chunks_of_thinking += 1
            yield ThinkingDelta(thought or "", logprobs=thought_tokens)
        tokens = self._tokens(logprobs.get("content"))
        text = _text(delta.get("content")) or _text(delta.get("refusal"))
        if text or tokens:
            self._chunks_of_text += 1
            yield TextDelta(text or "", logprobs=tokens)
        for number, call in enumerate(self._list(delta.get("tool_calls"), "tool_calls")):
            yield self._call(self._mapping(call, "tool call"), number)

    def _text(self, choice: Mapping[str, Any], logprobs: Mapping[str, Any]) -> Iterator[Event]:
        if text := _text(choice.get("text")):
            self._chunks_of_text += 1
            words = self._list(logprobs.get("tokens"), "tokens")
            values = self._list(logprobs.get("token_logprobs"), "token_logprobs")
            tokens = tuple(
                TokenProbability(-1, word, word.encode(errors="replace"), float(value))
                for word, value in zip(words, values, strict=False)
                if isinstance(word, str) and _number(value)
            )
            yield TextDelta(text, logprobs=tokens)

    def _call(self, call: Mapping[str, Any], number: int) -> ToolCallDelta:
        function = _mapping(call.get("function"))
        index = call.get("index", number)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < 1024:
            raise EndpointFailed(f"{self._name} numbers a tool call {str(index)[:80]!r}")
        arguments = _text(function.get("arguments")) or ""
        return ToolCallDelta(index, _text(call.get("id")), _text(function.get("name")), arguments)

    def _tokens(self, listed: Any) -> tuple[TokenProbability, ...]:
        return tuple(self._token(self._mapping(token, "token")) for token in self._list(listed, "logprobs"))

    def _token(self, token: Mapping[str, Any]) -> TokenProbability:
        text, logprob, raw = token.get("token"), token.get("logprob"), token.get("bytes")
        if not isinstance(text, str) or logprob is None or not _number(logprob):
            raise EndpointFailed(f"{self._name} sent a probability that is none: {str(token)[:200]}")
        top = tuple(self._token(self._mapping(t, "token")) for t in self._list(token.get("top_logprobs"), "logprobs"))
        try:
            exact = bytes(raw) if isinstance(raw, list) else text.encode(errors="replace")
        except (TypeError, ValueError):
            raise EndpointFailed(f"{self._name} sent bytes that are none: {str(raw)[:80]}") from None
        return TokenProbability(-1, text, exact, float(logprob), top)

    @property
    def _end(self) -> Mapping[str, Any]:
        """What one of ours says of the choice's end."""
        return _mapping(_mapping(self._limpide.get("choices")).get("0"))

    def _counts(self) -> Usage:
        """The endpoint's counts. One that has none is counted by its chunks, which are tokens for most."""
        prompt_details = _mapping(self._usage.get("prompt_tokens_details"))
        details = _mapping(self._usage.get("completion_tokens_details"))
        generated = _count(self._usage.get("completion_tokens"), self._chunks_of_thinking + self._chunks_of_text)
        thinking = min(generated, _count(details.get("reasoning_tokens"), 0))
        now = time.perf_counter()
        first = self._first or now
        return Usage(
            prompt_tokens=_count(self._usage.get("prompt_tokens"), 0),
            cached_tokens=_count(prompt_details.get("cached_tokens"), 0),
            thinking_tokens=thinking,
            answer_tokens=generated - thinking,
            thinking_truncated=self._end.get("thinking_truncated") is True,
            queue_seconds=_seconds(self._end.get("queue_seconds"), 0.0),
            prefill_seconds=_seconds(self._end.get("prefill_seconds"), first - self._started),
            decode_seconds=_seconds(self._end.get("decode_seconds"), now - first),
        )

    def _receipt(self) -> Receipt:
        told = _mapping(self._limpide.get("receipt"))
        parameters = {
            str(name): outcome
            for name, value in _mapping(told.get("parameters")).items()
            if (outcome := _outcome(_mapping(value)))
        }
        if not told:
            hidden = ("messages", "prompt", "stream", "stream_options", "tools", "response_format")
            parameters = {
                name: Outcome("applied", value, value, _NO_RECEIPT)
                for name, value in self._sent.items()
                if name not in hidden
            }
        numerics = told.get("numerics")
        return Receipt(
            parameters={**parameters, **self._outcomes},
            model=_text(told.get("model")) or self._model,
            weights_sha256=_text(told.get("weights_sha256")),
            tokenizer_sha256=_text(told.get("tokenizer_sha256")),
            template_sha256=_text(told.get("template_sha256")),
            engine=_text(told.get("engine")) or self._name,
            numerics=numerics if numerics in ("exact", "fast") else None,
            seed=told["seed"] if isinstance(told.get("seed"), int) else self._sent.get("seed"),
        )

    def _mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise EndpointFailed(f"{self._name} sent a {what} that is no object: {str(value)[:200]!r}")
        return cast("Mapping[str, Any]", value)

    def _list(self, value: Any, what: str) -> Sequence[Any]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise EndpointFailed(f"{self._name} sent {what} that are no list: {str(value)[:200]!r}")
        return value


_Status = Literal["applied", "clamped", "refused"]


def _outcome(told: Mapping[str, Any]) -> Outcome | None:
    status = told.get("status")
    if status not in get_args(_Status):
        return None
    return Outcome(cast("_Status", status), told.get("requested"), told.get("effective"), _text(told.get("why")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    """Halves of characters, which JSON can name and no file can hold, are replaced."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _seconds(value: Any, default: float) -> float:
    return float(value) if _number(value) and value >= 0 else default
