"""A model of this process behind an event loop: `core.hosting.ServedModel` over a LocalBackend."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from limpide.backends.entrance import DEFAULT_BOUND, Entrance, QueueBound
from limpide.backends.local import LocalBackend
from limpide.backends.stepping import Stepper, Watch
from limpide.core.errors import EngineStopped
from limpide.core.events import Event
from limpide.core.hosting import ANYBODY, Caller, Embedding, Load, Rendered
from limpide.core.ports import ChatRequest, ModelInfo, Scored
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape
from limpide.engine.pending import Pending
from limpide.engine.stream import Stream

T = TypeVar("T")

ENCODERS = 2
"""Threads that render and encode prompts: one long prompt doesn't hold up the short ones."""


class HostedModel:
    """Answers many at once without blocking the event loop: one thread computes, a few encode.

    Takes the backend over: nobody else may step its engine, and closing this closes it. Close with `aclose`, or with
    `close` where no loop runs; a model that is merely dropped stops computing, too.

    queue: how many requests may wait, and how long; further ones get Overloaded. Those of callers that are idle are
    counted apart, so that they keep nobody out, and may wait for any time.

    Raises TokenizerUnavailable for a model that speaks tokens only.
    """

    def __init__(self, backend: LocalBackend, *, queue: QueueBound = DEFAULT_BOUND) -> None:
        self._backend = backend
        self._info = backend.info
        self._engine = backend.engine
        seats, bounds = self._engine.load.max_batch, {False: queue, True: replace(queue, seconds=math.inf)}
        self._entrances = {
            idle: Entrance(seats, bound, partial(self._engine.num_jobs, idle=idle)) for idle, bound in bounds.items()
        }
        self._stepper = Stepper(self._engine, backend.info.name)
        self._encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix=f"limpide-encode-{backend.info.name}")
        self._identifier = ThreadPoolExecutor(1, thread_name_prefix=f"limpide-hash-{backend.info.name}")
        self._identified = False
        self._closing = False
        self._stop = weakref.finalize(self, _stop, backend, self._stepper, self._encoders, self._identifier)

    @property
    def info(self) -> ModelInfo:
        """The model behind it."""
        return self._info

    @property
    def load(self) -> Load:
        """How busy it is."""
        return self._engine.load

    @property
    def stopped(self) -> bool:
        """Whether it can't answer any more: it was closed, or its engine failed."""
        return self._closing or self._stepper.stopped

    async def chat(self, request: ChatRequest, caller: Caller = ANYBODY) -> HostedRunning:
        """Answer a conversation."""
        with self._stepper.expecting():
            stream = await self._submit(partial(self._backend.stream, request, caller), caller)
            return HostedRunning(self, stream, caller)

    async def complete(
        self, prompt: str | Sequence[int], sampling: Sampling, *, shape: Shape | None = None, caller: Caller = ANYBODY
    ) -> HostedRunning:
        """Continue raw text, or tokens, without a template."""
        submit = partial(self._backend.complete, prompt, sampling, shape=shape, caller=caller)
        with self._stepper.expecting():
            return HostedRunning(self, await self._submit(submit, caller), caller)

    async def score(self, context: str, continuations: Sequence[str], caller: Caller = ANYBODY) -> list[Scored]:
        """Log-likelihood of each continuation after the context."""
        return await self._result(partial(self._backend.start_scoring, context, continuations, caller), caller)

    async def embed(self, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY) -> list[Embedding]:
        """Mean of the last layer's normalised hidden states, scaled to length 1, for each text."""
        return await self._result(partial(self._backend.start_embedding, texts, caller), caller)

    async def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Text as tokens. special: whether text that looks like a control token becomes one."""
        return await self._encode(lambda: self._backend.tokenizer.encode(text, special=special, bos=bos))

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Tokens as text, control tokens by their names. Raises InvalidParameter for an id outside the vocabulary."""
        return await self._encode(lambda: self._backend.tokenizer.decode(tokens, special=True))

    async def render(self, request: ChatRequest) -> Rendered:
        """A conversation as text and tokens; `len(tokens)` is what its prompt will cost."""
        return await self._encode(lambda: self._backend.render(request))

    async def aclose(self, seconds: float = 0.0) -> None:
        """Take nothing new, let what runs come to its end for at most so long, then close. Safe to call twice."""
        self._closing = True
        await asyncio.to_thread(self.close, seconds)

    def close(self, seconds: float = 0.0) -> None:
        """As `aclose`, waiting. Not from the loop that the answers are read on, unless nothing runs."""
        self._closing = True
        if seconds:
            self._stepper.drain(seconds)
        self._stop()
        self._encoders.shutdown()
        self._identifier.shutdown()

    async def _encode(self, work: Callable[[], T]) -> T:
        if self._closing:
            raise self._closed()
        return await self._in(self._encoders, work)

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            future = threads.submit(work)
        except RuntimeError:  # it was shut down
            raise self._closed() from None
        return await asyncio.wrap_future(future)

    def _closed(self) -> EngineStopped:
        return EngineStopped(f"{self._info.name} is being closed", hint="ask again, which may load it again")

    async def _submit(self, submit: Callable[[], T], caller: Caller) -> T:
        def then_nudge() -> T:
            if self._stepper.stopped:  # while this waited for its turn
                raise self._closed()
            submitted = submit()
            self._stepper.nudge()
            return submitted

        with self._entrances[caller.idle]:
            return await self._encode(then_nudge)

    def _left(self, caller: Caller) -> None:
        """A request of the caller's is finished."""
        self._entrances[caller.idle].left()

    async def _result(self, submit: Callable[[], Pending[T]], caller: Caller) -> T:
        with self._stepper.expecting():
            pending = await self._submit(submit, caller)
            watch = self._stepper.watch(pending.job)
        try:
            await watch.change()
            self._left(caller)
            return pending.result()
        finally:
            pending.close()
            self._stepper.forget(watch)

    async def _identify(self) -> None:
        """Wait until receipts can be made without waiting for a hash."""
        if not self._identified:
            await self._in(self._identifier, self._engine.identity.wait)
            self._identified = True


class HostedRunning:
    """An answer in the making, for the event loop that asked for it."""

    def __init__(self, model: HostedModel, stream: Stream, caller: Caller) -> None:
        self._model = model
        self._caller = caller
        self._stream = stream
        self._stepper = model._stepper
        self._watch: Watch = self._stepper.watch(stream.job)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens it is an answer to."""
        return self._stream.prompt_tokens

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, in order; once."""
        return self

    async def __anext__(self) -> Event:
        if not self._watch.settled:
            await self._watch.change()
        if self._stream.at_end:
            await self._model._identify()
        try:
            return next(self._stream)
        except StopIteration:
            self._model._left(self._caller)
            self._end()
            raise StopAsyncIteration from None
        except Exception:
            self._end()
            raise

    def stop_thinking(self) -> None:
        """Have the model stop thinking at its next token and answer."""
        self._stream.stop_thinking()
        self._stepper.nudge()

    def abort(self) -> None:
        """End the answer here: what was written so far, then Finished with reason "aborted"."""
        self._stream.abort()
        self._stepper.nudge()

    async def aclose(self) -> None:
        """No more events are wanted: computing stops within one step. Safe to call twice."""
        self._end()

    def _end(self) -> None:
        self._stream.close()
        self._watch.close()
        self._stepper.forget(self._watch)
        self._stepper.nudge()

    def __del__(self) -> None:
        self._stepper.forget(self._watch)


def _stop(
    backend: LocalBackend, stepper: Stepper, encoders: ThreadPoolExecutor, identifier: ThreadPoolExecutor
) -> None:
    """Without waiting for the executors' threads: the garbage collector may call this from one of them."""
    stepper.stop()
    encoders.shutdown(wait=False)
    identifier.shutdown(wait=False)
    backend.close()
