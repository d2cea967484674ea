"""Works batches off, one after another, for one of the processes that share a store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from limpide.core.errors import DiskFull, StoreUnavailable
from limpide.core.hosting import Caller
from limpide.server.batches.internal import InternalReply
from limpide.server.store import BatchStore, Lease, Line
from limpide.server.store.batches import StoredBatch, result_line

_log = logging.getLogger("limpide.server")
LOOK_SECONDS = 5.0
"""How often to look for batches, and for a lease, that other processes may have left."""
MAX_WAIT_SECONDS = 60.0
MAX_ATTEMPTS = 5
"""How often a line is asked for that fails of the server's state, such as an engine that stopped."""


class Calls(Protocol):
    """Makes a request of this server."""

    async def post(self, path: str, body: bytes, caller: Caller) -> InternalReply:
        """The whole answer."""


class BatchWorker:
    """Takes lines in order, several at a time, on behalf of their owner and only while the machine is idle.

    A result is durable before the next line is begun; a line without one is done again after a crash.
    """

    def __init__(self, store: BatchStore, lease: Lease, calls: Calls, *, lines: int) -> None:
        self._store = store
        self._lease = lease
        self._calls = calls
        self._lines = lines
        self._work: tuple[str, asyncio.Task[None]] | None = None
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There is a new batch."""
        self._awake.set()

    def interrupt(self, batch_id: str) -> None:
        """A batch was cancelled: leave its lines where they are."""
        if self._work and self._work[0] == batch_id:
            self._work[1].cancel()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    if not self._lease.take() or not await self._one_batch():
                        await self._sleep(LOOK_SECONDS)
                except (StoreUnavailable, DiskFull) as error:
                    _log.error("batches wait: %s", error)
                    await self._sleep(MAX_WAIT_SECONDS)
        finally:
            self._lease.give()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)
        self._awake.clear()

    async def _one_batch(self) -> bool:
        """Work the oldest batch off; False if there is none."""
        batch = await self._store.oldest_open()
        if batch is None:
            return False
        await self._store.begin(batch.id)
        task = asyncio.create_task(self._all_lines(batch))
        self._work = (batch.id, task)
        try:
            await asyncio.wait([task])
        finally:
            self._work = None
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        await self._store.finish(batch.id)
        return True

    async def _all_lines(self, batch: StoredBatch) -> None:
        pending = self._pending(batch)
        taking = asyncio.Lock()

        async def work() -> None:
            while True:
                async with taking:
                    taken = await anext(pending, None)
                if taken is None:
                    return
                await self._one_line(batch, *taken)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._lines):
                group.create_task(work())

    async def _pending(self, batch: StoredBatch) -> AsyncIterator[tuple[Line, bytes]]:
        after = 0
        while found := await self._store.next_line(batch.id, after):
            after = found[0].number
            yield found

    async def _one_line(self, batch: StoredBatch, line: Line, data: bytes) -> None:
        request = json.loads(data)
        body = json.dumps(request["body"], ensure_ascii=False).encode()
        caller = Caller(batch.client, idle=True)
        wait, attempts = 1.0, 0
        while True:
            reply = await self._calls.post(request["url"], body, caller)
            attempts += 1
            if not _come_again(reply, attempts):
                break
            await asyncio.sleep(_seconds(reply.headers, wait))
            wait = min(2 * wait, MAX_WAIT_SECONDS)
            if not await self._store.goes_on(batch.id):
                return
        result = result_line(
            f"batch_req_{reply.request_id.removeprefix('req_')}",
            line.custom_id,
            response={"status_code": reply.status, "request_id": reply.request_id, "body": _body(reply.body)},
        )
        text = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()
        await self._store.record(batch.id, line.number, text, failed=reply.status >= 400)


def _come_again(reply: InternalReply, attempts: int) -> bool:
    """Whether an answer is no result of a line: the same request, made later, may do better."""
    if reply.status == 429:
        return True
    if reply.status != 503:
        return False
    match error_code(_body(reply.body)):
        case "overloaded":
            return True
        case "out_of_memory":  # what does not fit today won't fit in a minute
            return False
        case _:
            return attempts < MAX_ATTEMPTS


def error_code(body: Any) -> str | None:
    """Our code in an error's body, of whichever dialect."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else error.get("code")
    return code if isinstance(code, str) else None


def _body(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def _seconds(headers: Mapping[str, str], default: float) -> float:
    """How long to wait before asking again."""
    told = headers.get("retry-after", "")
    return min(float(told), MAX_WAIT_SECONDS) if told.isascii() and told.isdecimal() else default
