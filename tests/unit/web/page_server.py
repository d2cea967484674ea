"""The whole server with its page and its guards, in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

import limpide
from limpide.core.hosting import Host
from limpide.core.stock import Stock
from limpide.server.app import create_app
from limpide.server.guards import Guards
from limpide.server.settings import ServerSettings
from threaded_server import listening

PAGE = Path(limpide.__file__).parent / "web"


@contextmanager
def serving(host: Host, guards: Guards, port: int = 0, stock: Stock | None = None) -> Iterator[str]:
    """The URL of a server, stopped in the end as SIGTERM would: at once, and answers are cut off."""
    settings = ServerSettings(page=PAGE, drain_seconds=0)
    config = uvicorn.Config(
        create_app(host, settings, guards, stock), port=port, log_config=None, lifespan="on", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    with listening(config) as url:
        yield url
