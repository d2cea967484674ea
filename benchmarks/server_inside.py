"""The server of `limpide serve` in a thread of this process, so that its inside can be looked at when all is over."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from pathlib import Path

import psutil
import uvicorn

from limpide.backends.hosted import HostedModel
from limpide.backends.local import LocalBackend
from limpide.backends.pool import ModelPool, Source
from limpide.hub import resolve
from limpide.server.app import create_app
from limpide.server.guards import Guards
from limpide.server.settings import ServerSettings


class ServerInside:
    """A server with its database in `folder`; what it logs goes to a file there."""

    def __init__(self, folder: Path, model: str, *, context: int, max_batch: int = 32) -> None:
        located = resolve(model, offline=True)
        self._log = folder / "server.log"
        logging.basicConfig(filename=self._log, level=logging.WARNING)
        self._backend = LocalBackend.open(located.path, name=located.name, context=context, max_batch=max_batch)
        self._pool = ModelPool([Source(located.name, lambda: self._backend, lambda: 0)], memory=1)
        self._app = create_app(self._pool, ServerSettings(database=folder / "server.db"), Guards())
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="on"))
        self._loop = asyncio.new_event_loop()
        self._ended: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=[listening])
        self._process = psutil.Process()
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        self._tasks = len(asyncio.all_tasks(self._loop))

    def _run(self, listening: socket.socket) -> None:
        try:
            self._loop.run_until_complete(self._server.serve(sockets=[listening]))
        except BaseException as error:  # noqa: BLE001 - told at the end
            self._ended.append(error)
        finally:
            self._loop.close()

    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text(errors="replace")

    def look(self) -> dict[str, float]:
        """As `ServerProcess.look`, clients and all."""
        return {
            "rss_mb": self._process.memory_info().rss / 1e6,
            "children_rss_mb": 0.0,
            "threads": self._process.num_threads(),
            "descriptors": self._process.num_fds(),
            "children": len(self._process.children(recursive=True)),
        }

    def faults_inside(self) -> list[str]:
        """What is wrong, or still held, now that nobody asks for anything."""
        [slot] = self._pool._slots.values()
        if not isinstance(slot.model, HostedModel):
            return ["the model is not loaded any more"]
        engine, cache = self._backend.engine, self._backend.engine.cache
        held = {
            "jobs": len(engine._jobs) + len(engine._arriving),
            "sequences": len(engine.scheduler.running) + len(engine.scheduler.waiting),
            "leases of blocks": len(cache.leases),
            "blocks": cache.num_blocks - cache.num_available,
            "leases of the model": slot.leases,
            "watches": len(slot.model._stepper._watches),
            "requests at the door": sum(entrance._entering for entrance in slot.model._entrances.values()),
            "running answers": len(self._app.state.answers._by_id),
            "background responses": len(self._app.state.kept.background._live),
        }
        faults = [f"{count} {name} are held" for name, count in held.items() if count]
        if (
            len(tasks := asyncio.all_tasks(self._loop)) > self._tasks + 1
        ):  # the worker of batches waits in one of its own
            faults.append(f"{self._tasks} tasks have become {sorted(str(task.get_coro()) for task in tasks)}")
        try:
            engine.check_integrity()
        except AssertionError as error:
            faults.append(f"the engine's books are wrong: {error}")
        return faults

    def terminate(self, seconds: float = 60) -> tuple[int | None, list[str]]:
        """End as on SIGTERM; 0 if that went well. The process's helpers end with it, and are nothing that is left."""
        self._server.should_exit = True
        self._thread.join(seconds)
        if self._thread.is_alive():
            return None, []
        return len(self._ended), [f"{thread}" for thread in threading.enumerate() if "limpide" in thread.name]

    def kill(self) -> None:
        """End at once."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
