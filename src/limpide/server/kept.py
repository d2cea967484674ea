"""All that the server keeps, and the work that goes on without a client."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from limpide.core.errors import DiskFull, StoreUnavailable
from limpide.server.batches.internal import InternalCalls
from limpide.server.batches.worker import BatchWorker
from limpide.server.responses.background import Background
from limpide.server.settings import ServerSettings
from limpide.server.store import BatchStore, Database, FileStore, Lease, ResponseStore

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

_log = logging.getLogger("limpide.server")
_DAY = 24 * 3600
HOUSEKEEPING_SECONDS = 3600


class Kept:
    """The stores of one application, responses in the background and batches.

    `start` when the application starts up, `pause` when it shall take up nothing new, `close` when the models have
    come to rest. What is stored works without `start`; batches wait for it.
    """

    def __init__(self, app: FastAPI, settings: ServerSettings) -> None:
        path = settings.database
        self.database = Database(path, max_bytes=settings.database_bytes)
        self.responses = ResponseStore(self.database)
        self.files = FileStore(self.database)
        self.batches = BatchStore(self.database)
        self.background = Background(settings.background_responses)
        lease = Lease(path and path.with_name(f"{path.name}-batches.lock"))
        self.worker = BatchWorker(self.batches, lease, InternalCalls(app), lines=settings.batch_lines)
        self._keep_seconds = settings.keep_days * _DAY
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Mark what a crash left unfinished, and begin to work on batches."""
        self._tasks = [asyncio.create_task(self._keep_house()), asyncio.create_task(self.worker.run())]

    async def pause(self) -> None:
        """No more lines of batches; those under way are done again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def close(self) -> None:
        """Store what can be stored, and close the database."""
        await self.pause()
        await self.background.close()
        self.responses.close()
        await self.database.close()

    async def _keep_house(self) -> None:
        while True:
            try:
                await self.responses.mark_stopped()
                await self.responses.drop_older(int(time.time()) - self._keep_seconds)
                await self.files.drop_expired()
            except (StoreUnavailable, DiskFull) as error:
                _log.error("%s", error)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)


def kept_of(request: Request) -> Kept:
    """What the application keeps."""
    kept: Kept = request.app.state.kept
    return kept
