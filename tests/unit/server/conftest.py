"""The server over scripted models: everything but the weights is the real thing, network included."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from limpide.backends.fake import FakeBackend
from limpide.backends.hosted import HostedModel
from limpide.backends.local import LocalBackend
from limpide.backends.pool import ModelPool, Source
from limpide.core.hosting import ANYBODY, Caller, Embedding, Host
from limpide.server.app import create_app
from limpide.server.settings import ServerSettings


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


@pytest.fixture
def fake_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeHost]]:
    """Makes a host of one scripted model called `fake`; the arguments are FakeBackend's."""
    if not hasattr(HostedModel, "embed"):
        monkeypatch.setattr(HostedModel, "embed", _embed, raising=False)
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

        def start(host: Host, settings: ServerSettings | None = None) -> httpx.Client:
            url = running.enter_context(serving(host, settings))
            return running.enter_context(httpx.Client(base_url=url, timeout=60))

        yield start


@contextmanager
def serving(host: Host, settings: ServerSettings | None = None) -> Iterator[str]:
    """The URL of a server in a thread, stopped in the end as SIGTERM would."""
    config = uvicorn.Config(create_app(host, settings), port=0, log_config=None, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    ready = threading.Event()
    startup = server.startup

    async def announced(sockets: Any = None) -> None:
        await startup(sockets)
        ready.set()

    server.startup = announced  # type: ignore[method-assign]
    thread = threading.Thread(target=asyncio.run, args=[server.serve()])
    thread.start()
    try:
        assert ready.wait(30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


async def _embed(self: HostedModel, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY) -> list[Embedding]:
    """Directions that depend on the length alone, until models have better ones."""
    found = []
    for text in texts:
        tokens = len(await self.tokenize(text)) if isinstance(text, str) else len(text)
        found.append(Embedding((math.sin(tokens), math.cos(tokens), 0.0, 0.0), tokens))
    return found
