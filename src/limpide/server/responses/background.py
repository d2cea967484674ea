"""Responses that are written while nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from limpide.core.errors import EngineStopped, Overloaded
from limpide.server.answering import Answering
from limpide.server.errors import log_unexpected
from limpide.server.responses.making import Making

Json = dict[str, Any]
Begin = Callable[[], Awaitable[Answering]]
RETRY_SECONDS = 10


class Live:
    """A response that a task is writing. Whoever follows it sees its events from any of them on."""

    def __init__(self, making: Making) -> None:
        self.making = making
        self.ended = False
        self._events: list[Json] = []
        self._changed = asyncio.Event()
        self.writing: asyncio.Task[None] | None = None
        self.ending: asyncio.Task[None] | None = None

    def add(self, *events: Json) -> None:
        """Let followers see more."""
        self._events += events
        self._change()

    def end(self) -> None:
        """There is no more to see."""
        self.ended = True
        self._change()

    async def follow(self, after: int = -1) -> AsyncGenerator[Json, None]:
        """The events after a sequence number, as they come. Leaving off does not stop the writing."""
        at = after + 1  # sequence numbers count from 0
        while True:
            while at < len(self._events):
                yield self._events[at]
                at += 1
            if self.ended:
                return
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Background:
    """The responses that are being written in the background, by id. One event loop's."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._live: dict[str, Live] = {}
        self._closing = False

    def check_room(self) -> None:
        """Raises Overloaded if there are too many to begin another."""
        if self._closing or len(self._live) >= self._limit:
            raise Overloaded(f"{len(self._live)} responses are being written already", retry_after=RETRY_SECONDS)

    def start(self, making: Making, created: list[Json], begin: Begin) -> Live:
        """Write a response that exists. `begin` waits for a model."""
        live = self._live[making.id] = Live(making)
        live.add(*created)
        # Cancelling a task that has not begun runs nothing of it, not even its `finally`. So the writing alone is
        # cancelled; the ending has a task of its own, which nobody cancels.
        writing = asyncio.create_task(self._write(live, begin))
        live.writing, live.ending = writing, asyncio.create_task(self._end(live, writing))
        return live

    def find(self, response_id: str) -> Live | None:
        """A response that is still being written."""
        return self._live.get(response_id)

    async def cancel(self, live: Live) -> None:
        """End a response here, and wait until that is stored."""
        if live.writing is not None and live.ending is not None:
            live.writing.cancel()
            await asyncio.wait([live.ending])

    async def close(self) -> None:
        """End them all: what is not done fails, and says that the server stopped."""
        self._closing = True
        for live in list(self._live.values()):
            await self.cancel(live)

    async def _write(self, live: Live, begin: Begin) -> None:
        async with await begin() as answer:
            async for event in live.making.write(answer):
                live.add(event)

    async def _end(self, live: Live, writing: asyncio.Task[None]) -> None:
        """However the writing ends, have that stored and told."""
        making = live.making
        await asyncio.wait([writing])
        try:
            if writing.cancelled():
                stopped = EngineStopped("the server stopped while this response was being written")
                live.add(*(await making.fail(stopped) if self._closing else await making.end()))
            elif isinstance(error := writing.exception(), Exception):
                live.add(*await making.fail(error))
        except Exception as error:  # noqa: BLE001 - the store failed: a restart marks the response
            log_unexpected(error)
        finally:
            live.end()
            del self._live[making.id]
