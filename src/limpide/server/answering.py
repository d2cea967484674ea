"""From a request to a running answer, and back to nothing held, however it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

from starlette.requests import Request

from limpide.core.events import Event
from limpide.core.hosting import Caller, Running, ServedModel
from limpide.server.context import answers_of, caller_of, host_of

Begin = Callable[[ServedModel, Caller], Awaitable[Running]]
"""Asks a model for an answer."""


class Answering:
    """An answer that is being written: its model is held, it can be found by its id, and `aclose` ends all that."""

    def __init__(self, model: ServedModel, running: Running, held: AsyncExitStack) -> None:
        self.model = model
        self._running = running
        self._held = held

    @property
    def prompt_tokens(self) -> int:
        """How many tokens it is an answer to."""
        return self._running.prompt_tokens

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._running.__aiter__()

    async def aclose(self) -> None:
        """Nobody wants more of it. Safe to call twice."""
        await self._held.aclose()

    async def __aenter__(self) -> Answering:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def start(request: Request, name: str, model: str | None, begin: Begin) -> Answering:
    """Have a model begin an answer that goes by `name`. Raises what is wrong with the request."""
    caller = caller_of(request)
    async with AsyncExitStack() as held:
        served = await held.enter_async_context(host_of(request).use(model))
        running = await begin(served, caller)
        held.push_async_callback(running.aclose)
        held.enter_context(answers_of(request).known(name, caller, running))
        return Answering(served, running, held.pop_all())
