"""Hosts of scripted models, and servers in threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from limpide.backends.local import LocalBackend
from limpide.backends.pool import ModelPool, Source
from limpide.core.hosting import Host
from limpide.core.stock import Stock
from limpide.server.app import create_app
from limpide.server.guards import Guards
from limpide.server.patience import patient_protocol
from limpide.server.settings import ServerSettings
from threaded_server import listening


class FakeHost(ModelPool):
    """Scripted models by name. Belongs to the first loop that uses it."""

    def __init__(self, **backends: LocalBackend) -> None:
        self.backends = backends
        self.engines = [backend.engine for backend in backends.values()]
        sources = [Source(name, lambda b=b: b, lambda: 0, 1_700_000_000) for name, b in backends.items()]  # type: ignore[misc]
        super().__init__(sources, memory=1)

    def check(self) -> None:
        """Nothing is held any more. Closes the models."""
        for backend, engine in zip(self.backends.values(), self.engines, strict=True):
            backend.close()
            engine.check_integrity()
            assert not engine.cache.leases


@contextmanager
def serving(
    host: Host, settings: ServerSettings | None = None, guard: Guards | None = None, stock: Stock | None = None
) -> Iterator[str]:
    """The URL of a server in a thread, guarded as `limpide serve` is, stopped in the end as SIGTERM would."""
    guard = guard or Guards()
    app = create_app(host, settings, guard, stock)
    http = patient_protocol(guard.limits.unread_seconds)
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="none", http=http)
    with listening(config) as url:
        yield url
