"""The server over scripted models: everything but the weights is the real thing, network included."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from scripted_hosts import FakeHost, serving

from limpide.backends.fake import FakeBackend
from limpide.backends.hosted import HostedModel
from limpide.core.hosting import ANYBODY, Caller, Embedding, Host
from limpide.server.settings import ServerSettings


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


async def _embed(self: HostedModel, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY) -> list[Embedding]:
    """Directions that depend on the length alone, until models have better ones."""
    found = []
    for text in texts:
        tokens = len(await self.tokenize(text)) if isinstance(text, str) else len(text)
        found.append(Embedding((math.sin(tokens), math.cos(tokens), 0.0, 0.0), tokens))
    return found
