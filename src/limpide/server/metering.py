"""Stands between the endpoints and the models, so that nothing is computed unmeasured, uncharged or unallowed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, Usage
from limpide.core.hosting import ANYBODY, Caller, Embedding, Host, Load, Offer, Rendered, Running, ServedModel
from limpide.core.ports import ChatRequest, ModelInfo, Scored
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape
from limpide.server.access.keyring import Keyring
from limpide.server.metrics import Metrics
from limpide.server.record import current_record

_log = logging.getLogger("limpide.server.metering")

GRACE_SECONDS = 5.0
"""How long an answer that was given up may take to say what it has cost."""
_NOTHING = Usage(prompt_tokens=0, cached_tokens=0, thinking_tokens=0, answer_tokens=0)
_closing: set[asyncio.Task[None]] = set()
"""Answers that were given up and are being closed; a loop alone would not keep them."""


@dataclass(frozen=True, slots=True)
class Books:
    """Where uses of models are checked and written down."""

    keyring: Keyring
    metrics: Metrics

    async def enter(self, caller: Caller, model: str, usage: Usage) -> None:
        """One use of a model has ended."""
        if record := current_record():
            record.spent(usage)
        self.metrics.count_tokens(model, usage)
        await self.keyring.charge(caller.client, usage)


class Meter:
    """A running answer, measured. Its whole cost is written down even if the client leaves in the middle."""

    def __init__(
        self,
        running: Running,
        books: Books,
        caller: Caller,
        model: str,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._running = running
        self._events = running.__aiter__()
        self._books, self._caller, self._model = books, caller, model
        self._clock = clock
        self._started = clock() if started is None else started
        self._last: float | None = None
        self._usage: Usage | None = None
        self._deltas = {"thinking": 0, "answer": 0}
        self._ended = False
        self._settled = False
        self._closing: asyncio.Task[None] | None = None

    @property
    def prompt_tokens(self) -> int:
        """How many tokens it is an answer to."""
        return self._running.prompt_tokens

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self._events.__anext__()
        except Exception:  # also the end of the iteration
            self._ended = True
            await self._settle()
            raise
        self._note(event)
        return event

    def stop_thinking(self) -> None:
        """Have the model stop thinking at its next token and answer."""
        self._running.stop_thinking()

    def abort(self) -> None:
        """End the answer here."""
        self._running.abort()

    async def aclose(self) -> None:
        """Stop computing, learn what it has cost, and write that down. Safe to call twice.

        Goes on to its end if the caller is cancelled while it waits.
        """
        if self._closing is None:
            if not self._ended:
                self._running.abort()
            self._closing = asyncio.create_task(self._close())
            _closing.add(self._closing)
            self._closing.add_done_callback(_closing.discard)
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            if not self._ended:
                async with asyncio.timeout(GRACE_SECONDS):
                    async for event in self._events:
                        self._note(event, wanted=False)
        except Exception as error:  # noqa: BLE001 - nobody is there any more to be told
            _log.debug("an answer that was given up ended with %s", type(error).__name__)
        finally:
            await self._running.aclose()
            await self._settle()

    def _note(self, event: Event, *, wanted: bool = True) -> None:
        if isinstance(event, Finished):
            self._finished(event)
        elif wanted:
            self._delta(event)

    def _delta(self, event: Event) -> None:
        now = self._clock()
        if self._last is None:
            self._books.metrics.first_token(self._model, now - self._started)
            if (record := current_record()) and record.first_token_seconds is None:
                record.first_token_seconds = now - self._started
        else:
            self._books.metrics.next_token(self._model, now - self._last)
        self._last = now
        if isinstance(event, ThinkingDelta | TextDelta):
            self._deltas["thinking" if isinstance(event, ThinkingDelta) else "answer"] += 1

    def _finished(self, event: Finished) -> None:
        usage = event.usage
        if self._usage is not None:  # several choices share one prompt
            usage = replace(
                self._usage,
                thinking_tokens=self._usage.thinking_tokens + usage.thinking_tokens,
                answer_tokens=self._usage.answer_tokens + usage.answer_tokens,
                accepted_draft_tokens=self._usage.accepted_draft_tokens + usage.accepted_draft_tokens,
                rejected_draft_tokens=self._usage.rejected_draft_tokens + usage.rejected_draft_tokens,
            )
        self._usage = usage
        if record := current_record():
            record.finish_reasons.append(event.reason)

    async def _settle(self) -> None:
        if self._settled:
            return
        self._settled = True
        usage = self._usage
        if usage is None:  # it failed: what came is the least that it has cost
            usage = replace(_NOTHING, thinking_tokens=self._deltas["thinking"], answer_tokens=self._deltas["answer"])
        self._books.metrics.answered(self._model, self._clock() - self._started, usage)
        await self._books.enter(self._caller, self._model, usage)


class MeteredModel:
    """A model that asks the books before it computes, and tells them afterwards."""

    def __init__(self, model: ServedModel, books: Books, names: Collection[str]) -> None:
        self._served = model
        self._books = books
        self._names = names

    @property
    def info(self) -> ModelInfo:
        """The model behind it."""
        return self._served.info

    async def chat(self, request: ChatRequest, caller: Caller = ANYBODY) -> Running:
        """Answer a conversation."""
        started = self._begin("chat", caller)
        return self._meter(await self._served.chat(request, caller), caller, started)

    async def complete(
        self, prompt: str | Sequence[int], sampling: Sampling, *, shape: Shape | None = None, caller: Caller = ANYBODY
    ) -> Running:
        """Continue raw text, or tokens, without a template."""
        started = self._begin("text_completion", caller)
        return self._meter(await self._served.complete(prompt, sampling, shape=shape, caller=caller), caller, started)

    async def score(self, context: str, continuations: Sequence[str], caller: Caller = ANYBODY) -> list[Scored]:
        """Log-likelihood of each continuation after the context."""
        self._begin("score", caller)
        scored = await self._served.score(context, continuations, caller)
        read = len(await self._served.tokenize(context)) + sum(len(one.logprobs) for one in scored)
        await self._books.enter(caller, self.info.name, replace(_NOTHING, prompt_tokens=read))
        return scored

    async def embed(self, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY) -> list[Embedding]:
        """Each text as a direction."""
        self._begin("embeddings", caller)
        embedded = await self._served.embed(texts, caller)
        read = sum(one.tokens for one in embedded)
        await self._books.enter(caller, self.info.name, replace(_NOTHING, prompt_tokens=read))
        return embedded

    async def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Text as tokens."""
        return await self._served.tokenize(text, special=special, bos=bos)

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Tokens as text."""
        return await self._served.detokenize(tokens)

    async def render(self, request: ChatRequest) -> Rendered:
        """A conversation as text and tokens."""
        return await self._served.render(request)

    def _begin(self, operation: str, caller: Caller) -> float:
        self._books.keyring.check_model(caller.client, self._names)
        self._books.keyring.check_budget(caller.client)
        if record := current_record():
            record.operation, record.model = operation, self.info.name
        return time.perf_counter()

    def _meter(self, running: Running, caller: Caller, started: float) -> Meter:
        return Meter(running, self._books, caller, self.info.name, started=started)


class MeteredHost:
    """A host whose models are metered. It is what the endpoints get."""

    def __init__(self, host: Host, books: Books) -> None:
        self._host = host
        self._books = books

    def offers(self) -> Sequence[Offer]:
        """Every model that `use` accepts; the first is the default."""
        return self._host.offers()

    @asynccontextmanager
    async def use(self, name: str | None = None) -> AsyncIterator[ServedModel]:
        """A loaded model. One that the caller may not use is not loaded for the sake of refusing it."""
        asked = name if name is not None else next((offer.name for offer in self._host.offers()), "")
        if record := current_record():
            self._books.keyring.check_model(record.caller, (asked,))
        async with self._host.use(name) as model:
            yield MeteredModel(model, self._books, (asked, model.info.name))

    async def unload(self, name: str) -> bool:
        """Give a model's memory back, if nobody uses it."""
        return await self._host.unload(name)

    def loads(self) -> Mapping[str, Load]:
        """How busy the loaded models are."""
        return self._host.loads()

    async def drain(self, seconds: float) -> None:
        """Take nothing new, let what runs come to its end for at most so long, then close everything."""
        await self._host.drain(seconds)
        if _closing:
            await asyncio.wait(set(_closing), timeout=GRACE_SECONDS)
