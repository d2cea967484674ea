"""The thread that computes for everybody, and how it tells event loops what has come."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from limpide.engine.engine import Engine
from limpide.engine.stream import Job

_log = logging.getLogger(__name__)


class Watch:
    """A job that one coroutine waits for. All but `settled` and `awaited` belongs to its event loop."""

    __slots__ = ("_closed", "_waiter", "job", "loop")

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: events have come, or none will."""
        return bool(self.job.events) or self.job.done or self._closed

    @property
    def awaited(self) -> bool:
        """Whether somebody waits at this moment."""
        return self._waiter is not None

    async def change(self) -> None:
        """Wait until the watch is settled."""
        while not self.settled:
            self._waiter = self.loop.create_future()
            try:
                # It may have settled before the stepper could see that somebody waits. One of the two sees the other.
                if not self.settled:
                    await self._waiter
            finally:
                self._waiter = None

    def wake(self) -> None:
        """Have the one who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Have the one who waits give up."""
        self._closed = True
        self.wake()


class Stepper:
    """One thread that calls `engine.step` while there is work, and sleeps otherwise.

    After each step it wakes those whose jobs have something to take: one call into each event loop, however many
    they are. Thread-safe.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._watches: set[Watch] = set()
        self._expected = 0
        self._nudged = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"limpide-steps-{name}", daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> bool:
        """Whether nothing will be computed any more."""
        return self._stopping

    def watch(self, job: Job) -> Watch:
        """Watch a job on behalf of the running event loop, until `forget`."""
        watch = Watch(job, asyncio.get_running_loop())
        with self._changed:
            self._watches.add(watch)
        self.nudge()
        return watch

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """While the context is held, a watch may yet come: draining waits for it."""
        with self._changed:
            self._expected += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1
                self._changed.notify_all()

    def forget(self, watch: Watch) -> None:
        """Nobody takes anything from the job any more. Safe to call twice."""
        with self._changed:
            self._watches.discard(watch)
            if not self._watches:
                self._changed.notify_all()

    def nudge(self) -> None:
        """Something came from outside: have a look."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is watched or expected: all answers were taken to their end, or given up.

        False if time ran out.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not (self._watches or self._expected) or self.stopped, seconds)

    def stop(self) -> None:
        """Stop after the step that is being computed; whoever still waits gets EngineStopped. Safe to call twice."""
        self._stopping = True
        self._engine.close()
        self.nudge()
        if threading.current_thread() is not self._thread:  # the garbage collector may call from anywhere
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait():
                self._engine.step()
                self._wake()
        except Exception:  # noqa: BLE001 - a failed request is the engine's to handle; whatever comes here is a bug
            _log.exception("the engine can't go on: its books are wrong")
            self._stopping = True
            self._engine.close()
        self._wake()
        with self._changed:
            self._changed.notify_all()

    def _wait(self) -> bool:
        """Sleep until there is work. False when there won't be any."""
        with self._changed:
            self._changed.wait_for(lambda: self._nudged or self._stopping or self._engine.has_work)
            self._nudged = False
        return not self._stopping

    def _wake(self) -> None:
        with self._changed:
            waiting = [watch for watch in self._watches if watch.awaited and watch.settled]
        for loop in {watch.loop for watch in waiting}:
            mine = [watch for watch in waiting if watch.loop is loop]
            try:
                loop.call_soon_threadsafe(_wake_all, mine)
            except RuntimeError:  # the loop was closed, and with it everyone who waited on it
                self._abandon(loop)

    def _abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._changed:
            lost = [watch for watch in self._watches if watch.loop is loop]
        for watch in lost:
            self.forget(watch)
            if not watch.job.done:
                self._engine.abort(watch.job)


def _wake_all(watches: list[Watch]) -> None:
    for watch in watches:
        watch.wake()
