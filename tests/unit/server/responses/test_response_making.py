"""A response is stored before anybody is told of it, and however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from limpide.core.errors import ContextExceeded, DiskFull, EngineStopped, NotFound
from limpide.core.events import Event, Finished, TextDelta, Usage
from limpide.core.receipt import Receipt
from limpide.server.responses.events import ENDINGS, ResponseWriter
from limpide.server.responses.making import Making
from limpide.server.store import Database, ResponseStore, StoredResponse

END = Finished("stop", Usage(1, 0, 0, 1), Receipt({}, "m", None, None, None, "limpide", "fast", None))
BODY: dict[str, Any] = {
    "id": "resp_1",
    "created_at": 1,
    "status": "in_progress",
    "background": False,
    "output": [],
    "error": None,
    "incomplete_details": None,
}


async def answer(events: Sequence[Event | Exception]) -> AsyncIterator[Event]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def making_in(store: ResponseStore | None) -> Making:
    writer = ResponseWriter(dict(BODY), lambda prefix: f"{prefix}1")
    return Making(writer, store, StoredResponse("resp_1", "", BODY, []), keep_events=True)


def test_what_is_told_is_stored() -> None:
    async def test() -> None:
        store = ResponseStore(database := Database(None))
        making = making_in(store)
        for event in await making.create():
            assert (await store.get("resp_1", "")).body == event["response"]
        last = None
        async for event in making.write(answer([TextDelta("a"), TextDelta("b"), END])):
            stored = await store.get("resp_1", "")
            assert (stored.body["status"] == "completed") == (event["type"] in ENDINGS or stored.events is not None)
            if event["type"] in ENDINGS:
                assert stored.body == event["response"]
            last = event
        assert last is not None
        assert last["type"] == "response.completed"
        events = (await store.get("resp_1", "")).events
        assert events is not None
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[-1] == last
        await making.end()
        assert (await store.get("resp_1", "")).body["status"] == "completed", "what has ended stays as it is"
        await database.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([TextDelta("a"), EngineStopped("stopped")], "server_error"),
        ([ContextExceeded(10, 5)], "invalid_prompt"),
        ([TextDelta("a"), KeyError("a bug, with a secret")], "server_error"),
        ([TextDelta("a")], "server_error"),
    ],
)
def test_what_goes_wrong_is_told_and_stored(events: Sequence[Event | Exception], code: str) -> None:
    async def test() -> None:
        store = ResponseStore(database := Database(None))
        making = making_in(store)
        await making.create()
        told = [event async for event in making.write(answer(events))]
        assert told[-1]["type"] == "response.failed"
        body = (await store.get("resp_1", "")).body
        assert (body, body["status"], body["error"]["code"]) == (told[-1]["response"], "failed", code)
        assert "secret" not in str(body)
        assert making.error is not None
        await database.close()

    asyncio.run(test())


async def note_types(events: AsyncIterator[dict[str, Any]], told: list[str]) -> None:
    async for event in events:
        told.append(event["type"])


def test_an_end_that_can_not_be_stored_is_not_told(tmp_path: Path) -> None:
    async def test() -> None:
        store = ResponseStore(database := Database(tmp_path / "server.db", max_bytes=1 << 20))
        making = making_in(store)
        await making.create()
        told: list[str] = []
        with pytest.raises(DiskFull):
            await note_types(making.write(answer([TextDelta("x" * (2 << 20)), END])), told)
        assert told
        assert not ENDINGS & set(told)
        store.close()
        await database.close()

    asyncio.run(test())


def test_who_leaves_leaves_a_cancelled_response() -> None:
    async def test() -> None:
        store = ResponseStore(database := Database(None))
        making = making_in(store)
        await making.create()
        writing = making.write(answer([TextDelta("half"), TextDelta("lost"), END]))
        async for event in writing:
            if event["type"] == "response.output_text.delta":
                break
        await writing.aclose()
        await making.end()
        body = (await store.get("resp_1", "")).body
        assert body["status"] == "cancelled"
        assert body["output"][0]["content"][0]["text"] == "half"
        await database.close()

    asyncio.run(test())


def test_without_a_store_nothing_is_stored() -> None:
    async def test() -> None:
        store = ResponseStore(database := Database(None))
        making = making_in(None)
        await making.create()
        assert [event async for event in making.write(answer([END]))][-1]["type"] == "response.completed"
        with pytest.raises(NotFound):
            await store.get("resp_1", "")
        await database.close()

    asyncio.run(test())
