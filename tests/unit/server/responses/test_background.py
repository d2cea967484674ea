"""A response in the background ends in the store and for its followers, whenever it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from limpide.core.errors import Overloaded
from limpide.server.answering import Answering
from limpide.server.responses.background import Background, Live
from limpide.server.responses.events import ResponseWriter
from limpide.server.responses.making import Making
from limpide.server.store import Database, ResponseStore, StoredResponse

BODY: dict[str, Any] = {
    "id": "resp_1",
    "created_at": 1,
    "status": "queued",
    "background": True,
    "output": [],
    "error": None,
    "incomplete_details": None,
}


async def never() -> Answering:
    await asyncio.Event().wait()
    raise AssertionError("it was to be cancelled")


async def busy() -> Answering:
    raise Overloaded("too many", retry_after=1)


async def cancelled(background: Background, live: Live) -> None:
    await background.cancel(live)


async def closed(background: Background, _: Live) -> None:
    await background.close()


async def left_alone(_: Background, live: Live) -> None:
    async for _event in live.follow():
        pass


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize(
    ("begin", "end", "status"),
    [(never, cancelled, "cancelled"), (never, closed, "failed"), (busy, left_alone, "failed")],
)
def test_it_ends_however_far_it_is(
    begin: Callable[[], Awaitable[Answering]],
    end: Callable[[Background, Live], Awaitable[None]],
    status: str,
    steps: int,
) -> None:
    """Without a step, its task has not begun when it is cancelled."""

    async def test() -> None:
        store = ResponseStore(database := Database(None))
        writer = ResponseWriter(dict(BODY), lambda prefix: f"{prefix}1")
        making = Making(writer, store, StoredResponse("resp_1", "", BODY, []), keep_events=True)
        background = Background(1)
        live = background.start(making, await making.create(), begin)
        for _ in range(steps):
            await asyncio.sleep(0)
        await end(background, live)
        assert (await store.get("resp_1", "")).body["status"] == status
        assert background.find("resp_1") is None
        told = [event["type"] async for event in live.follow()]
        assert told[-1] == {"cancelled": "response.incomplete", "failed": "response.failed"}[status]
        await database.close()

    asyncio.run(asyncio.wait_for(test(), 20))
