"""Pulls that go on beside other work: watched, joined and cancelled from an event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from uuid import uuid4

from limpide.core.errors import DownloadFailed, LimpideError, NotFound, Overloaded
from limpide.core.stock import Pull
from limpide.hub.progress import Progress
from limpide.hub.resolve import LocatedModel

_log = logging.getLogger("limpide.hub.pulls")

AT_ONCE = 4
"""More would only share the same network."""
REMEMBERED = 64
_RETRY_SECONDS = 60

Fetch = Callable[[Progress], LocatedModel]
"""Runs in a thread. What it raises is what becomes of the pull."""


class _Stopped(BaseException):
    """Thrown into a transfer from its own report. Not an Exception: nobody takes it for a source that failed."""


class PullJob:
    """One pull, and the `Progress` of its transfer."""

    def __init__(self, model: str) -> None:
        self.id = f"pull-{uuid4().hex[:24]}"
        self.model = model
        self.state: Literal["running", "done", "cancelled", "failed"] = "running"
        self.error: LimpideError | None = None
        self._step, self._said = "", ""
        self._done = 0
        self._total: int | None = None
        self._stop = threading.Event()

    def cancel(self) -> None:
        """Have it end at its transfer's next report."""
        self._stop.set()

    def rejoin(self) -> None:
        """Somebody wants it after all."""
        self._stop.clear()

    def run(self, fetch: Fetch) -> LocatedModel | None:
        """Fetch, in this thread; None if it was cancelled."""
        try:
            return fetch(self)
        except _Stopped:
            return None

    @property
    def cancelling(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    @property
    def seen(self) -> Pull:
        """As it is now."""
        state = "cancelling" if self.state == "running" and self.cancelling else self.state
        return Pull(self.id, self.model, state, self._step, self._done, self._total, self._said, self.error)

    def begin(self, what: str, total: int | None) -> None:
        """A step begins."""
        self._check()
        self._step, self._done, self._total = what, 0, total

    def update(self, done: int) -> None:
        """A step goes on."""
        self._check()
        self._done = done

    def message(self, text: str) -> None:
        """Something worth a line."""
        self._said = text

    def end(self) -> None:
        """A step is over; the next one, or the end, follows at once. Never raises: it is called while others do."""

    def _check(self) -> None:
        if self.cancelling:
            raise _Stopped


class Pulls:
    """All pulls of a server. Belongs to one event loop.

    arrived: called in the loop with each model that has come.
    """

    def __init__(self, arrived: Callable[[str, LocatedModel], None]) -> None:
        self._arrived = arrived
        self._jobs: dict[str, PullJob] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(AT_ONCE, "limpide-pull")

    def start(self, model: str, fetch: Fetch) -> Pull:
        """Begin, or join the pull of the same model, also one that is being cancelled. Raises Overloaded."""
        running = [job for job in self._jobs.values() if job.state == "running"]
        for job in running:
            if job.model == model:
                job.rejoin()
                return job.seen
        if len(running) >= AT_ONCE:
            raise Overloaded(f"{AT_ONCE} models are on their way already", retry_after=_RETRY_SECONDS)
        job = PullJob(model)
        self._forget(model)
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._run(job, fetch), name=f"pull {model}")
        return job.seen

    def all(self) -> list[Pull]:
        """The newest first."""
        return [job.seen for job in reversed(self._jobs.values())]

    def cancel(self, pull: str) -> Pull:
        """Have one stopped. Raises NotFound."""
        return self._cancelled(self.find(pull))

    def find(self, pull: str) -> PullJob:
        """By its id. Raises NotFound."""
        if pull not in self._jobs:
            raise NotFound(f"no pull is called {pull[:80]!r}", hint="the last pull of each model is remembered")
        return self._jobs[pull]

    async def aclose(self) -> None:
        """Stop all of them and wait."""
        for job in self._jobs.values():
            self._cancelled(job)
        await asyncio.gather(*self._tasks.values())
        self._threads.shutdown(wait=False)

    def _cancelled(self, job: PullJob) -> Pull:
        if job.state == "running":
            job.cancel()
        return job.seen

    async def _run(self, job: PullJob, fetch: Fetch) -> None:
        try:
            found = None
            # Whoever asks again before the transfer has noticed that it was cancelled gets it begun anew.
            while found is None and not job.cancelling:
                found = await asyncio.get_running_loop().run_in_executor(self._threads, job.run, fetch)
            if found is not None:
                self._arrived(job.model, found)
            job.state = "cancelled" if found is None else "done"
        except LimpideError as error:
            job.state, job.error = "failed", error
        except Exception as error:  # noqa: BLE001  (a job that never ends is worse)
            _log.error("a pull ended unexpectedly", exc_info=error)
            what = f"{job.model} did not come: a fault of Limpide's; the server's log says which"
            job.state, job.error = "failed", DownloadFailed(what)
        finally:
            self._tasks.pop(job.id, None)

    def _forget(self, model: str) -> None:
        """Of each model the last pull is remembered, and of all not too many."""
        ended = [job for job in self._jobs.values() if job.state != "running"]
        gone = [job for job in ended if job.model == model] or ended[: max(0, len(ended) - REMEMBERED + 1)]
        for job in gone:
            del self._jobs[job.id]
