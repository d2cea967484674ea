"""The server over scripted models: everything but the weights is the real thing, network included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from scripted_hosts import FakeHost, serving

from limpide.backends.fake import FakeBackend
from limpide.core.hosting import Host
from limpide.core.stock import Stock
from limpide.server.guards import Guards
from limpide.server.settings import ServerSettings


@pytest.fixture
def fake_host() -> Iterator[Callable[..., FakeHost]]:
    """Makes a host of one scripted model called `fake`; the arguments are FakeBackend's."""
    made: list[FakeHost] = []

    def make(*arguments: Any, **options: Any) -> FakeHost:
        made.append(FakeHost(fake=FakeBackend(*arguments, **options)))
        return made[-1]

    yield make
    for host in made:
        host.check()


@pytest.fixture
def serve() -> Iterator[Callable[..., httpx.Client]]:
    """Serves a host on a port that is free, and gives an HTTP client of it."""
    with ExitStack() as running:

        def start(
            host: Host, settings: ServerSettings | None = None, guard: Guards | None = None, stock: Stock | None = None
        ) -> httpx.Client:
            url = running.enter_context(serving(host, settings, guard, stock))
            return running.enter_context(httpx.Client(base_url=url, timeout=60))

        yield start
