"""Models, application and socket put together, and run until told to stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Numerics
from limpide.core.stock import Stock
from limpide.hub import LocatedModel
from limpide.hub.candidate import look_at
from limpide.hub.fit import DEFAULT_CONTEXT, memory_of
from limpide.hub.machine import memory
from limpide.server.guards import Guards
from limpide.server.settings import ServerSettings

if TYPE_CHECKING:
    from limpide.backends.entrance import QueueBound
    from limpide.backends.local import LocalBackend
    from limpide.backends.pool import ModelPool, Source

PAGE = Path(__file__).resolve().parents[1] / "web"
"""The web page's folder."""
_MEMORY_SHARE = 0.9
"""Of the memory that is available when the server starts, how much models may take."""


@dataclass(frozen=True, slots=True)
class Loading:
    """How every model is loaded."""

    numerics: Numerics
    context: int | None
    max_batch: int
    offline: bool
    speculate: str | Path = "auto"


def pool_of(
    models: Sequence[tuple[str, LocatedModel]], loading: Loading, *, idle_seconds: float | None, queue: QueueBound
) -> ModelPool:
    """A host over models that are on this machine, each with the reference by which it was asked for."""
    from limpide.backends.pool import ModelPool

    sources = [source_of(reference, located, loading) for reference, located in models]
    available = memory()[1]
    return ModelPool(sources, memory=int(available * _MEMORY_SHARE), idle_seconds=idle_seconds, queue=queue)


def stock_of(
    models: Sequence[tuple[str, LocatedModel]], loading: Loading, pool: ModelPool, *, accept: frozenset[str]
) -> Stock:
    """What the machine has and can get besides; a model that was pulled is offered by the pool at once."""
    from limpide.hub.stock import HubStock, Serving

    serving = Serving(pool.memory, loading.numerics, loading.context, loading.offline, accept)
    return HubStock(models, serving, lambda reference, located: pool.add(source_of(reference, located, loading)))


def source_of(reference: str, located: LocatedModel, loading: Loading) -> Source:
    """A model that is on this machine, as a pool loads it."""
    from limpide.backends.pool import Source

    def load() -> LocalBackend:
        from limpide.backends.local import LocalBackend

        return LocalBackend.open(
            located.path,
            name=located.name,
            numerics=loading.numerics,
            context=loading.context,
            max_batch=loading.max_batch,
            licence=located.licence,
            sha256=located.sha256,
            dialect=located.entry.dialect if located.entry else None,
            speculate=loading.speculate,
        )

    def need() -> int:
        candidate = look_at(reference, offline=loading.offline)
        context = loading.context or min(DEFAULT_CONTEXT, candidate.context or DEFAULT_CONTEXT)
        return memory_of(candidate, context=context, numerics=loading.numerics).total

    return Source(located.name, load, need, created=int(located.path.stat().st_mtime))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InvalidParameter if that can't be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InvalidParameter(
                "port", port, "a port that nobody listens on", hint=f"--port {port + 1}, or 0 for any that is free"
            ) from None
        raise InvalidParameter("host", host, f"an address of this machine ({error.strerror})") from None


async def serve(
    pool: ModelPool,
    settings: ServerSettings,
    guard: Guards,
    listening: socket.socket,
    announce: Callable[[str], None],
    stock: Stock | None = None,
) -> None:
    """Load the default model, say where the server is, and serve until SIGINT or SIGTERM; then drain.

    What stands in the way of loading the default model is raised before anything is served.
    """
    import uvicorn

    from limpide.server.app import create_app
    from limpide.server.patience import patient_protocol

    # Before uvicorn's handlers are there and after they are gone, SIGTERM is an orderly end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        async with pool.use() as model:
            name = model.info.name
        announce(name)
        config = uvicorn.Config(
            create_app(pool, settings, guard, stock),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # anybody can send X-Forwarded-For
            lifespan="on",
            ws="none",
            http=patient_protocol(guard.limits.unread_seconds),
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
        await uvicorn.Server(config).serve(sockets=[listening])
    except BaseException:
        await pool.drain(0)
        raise


def run(
    pool: ModelPool,
    settings: ServerSettings,
    guard: Guards,
    listening: socket.socket,
    announce: Callable[[str], None],
    stock: Stock | None = None,
) -> None:
    """`serve`, in a loop of its own. Closes what the guard holds."""
    try:
        asyncio.run(serve(pool, settings, guard, listening, announce, stock))
    finally:
        guard.close()
