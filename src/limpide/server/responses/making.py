"""One response on its way from a model to whoever asked and to the store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Any

from limpide.core.errors import EngineStopped
from limpide.core.events import Event
from limpide.server.errors import log_unexpected, problem_of
from limpide.server.responses.events import ResponseWriter
from limpide.server.store import ResponseStore, StoredResponse

Json = dict[str, Any]


class Making:
    """Writes a response and keeps it. What is told of its beginning and its end is on the disk before it is told.

    store: None for a response that is not to be stored. keep_events: whether its stream can be had again later.
    """

    def __init__(
        self, writer: ResponseWriter, store: ResponseStore | None, beginning: StoredResponse, *, keep_events: bool
    ) -> None:
        self._writer = writer
        self._store = store
        self._beginning = beginning
        self._events: list[Json] | None = [] if keep_events else None
        self._kept = False
        self.error: Exception | None = None
        """What it failed of."""

    @property
    def body(self) -> Json:
        """The response as of now."""
        return self._writer.body

    @property
    def id(self) -> str:
        """Its id."""
        return self._beginning.id

    async def create(self) -> list[Json]:
        """Have it exist; returns the events that say so."""
        if self._store:
            await self._store.add(self._beginning)
        return self._note(self._writer.create())

    async def write(self, answer: AsyncIterable[Event]) -> AsyncGenerator[Json, None]:
        """The events of an answer's making, up to the one that ends the response."""
        for made in self._note(self._writer.begin()):
            yield made
        if self._store and self._beginning.body["background"]:
            await self._store.update(self.body, ended=False)
        try:
            async for event in answer:
                made_now = self._note(self._writer.write(event))
                if self._writer.ended:
                    break
                for made in made_now:
                    yield made
            else:
                raise EngineStopped("the answer broke off")
        except Exception as error:  # noqa: BLE001 - whatever it was, the response ends with it
            made_now = self._fail(error)
        await self._keep()
        for made in made_now:
            yield made

    async def fail(self, error: Exception) -> list[Json]:
        """It can't be made; returns the events that say so."""
        made = self._fail(error)
        await self._keep()
        return made

    async def end(self) -> list[Json]:
        """Nobody wants it any more, or it has ended already. Returns the events that say so. Safe to call twice."""
        made = [] if self._writer.ended else self._note(self._writer.cancel())
        await self._keep()
        return made

    def _fail(self, error: Exception) -> list[Json]:
        log_unexpected(error)
        self.error = error
        problem = problem_of(error)
        code = "rate_limit_exceeded" if problem.status == 429 else "invalid_prompt"
        return self._note(self._writer.fail(code if problem.status < 500 else "server_error", problem.message))

    async def _keep(self) -> None:
        if self._store and not self._kept:
            await self._store.update(self.body, ended=True, events=self._events)
            self._kept = True

    def _note(self, events: Iterable[Json]) -> list[Json]:
        made = list(events)
        if self._events is not None:
            self._events += made
        return made
