"""A host of scripted models: the server over the real engine, with answers that are known."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from limpide.backends.fake import FakeBackend
from limpide.backends.local import LocalBackend
from limpide.core.errors import EngineStopped, UnknownModel
from limpide.core.events import Event
from limpide.core.hosting import ANYBODY, Caller, Embedding, Load, Offer, Rendered
from limpide.core.ports import ChatRequest, ModelInfo, Scored
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape
from limpide.engine.request import EngineRequest
from limpide.engine.stream import Stream
from limpide.server.app import create_app
from limpide.server.settings import ServerSettings

_END = object()


class FakeRunning:
    """A blocking stream, read in threads."""

    def __init__(self, stream: Stream, gate: asyncio.Event | None) -> None:
        self.stream = stream
        self.gate = gate
        self.closed = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            if self.gate is not None:
                await self.gate.wait()
            event = await asyncio.to_thread(next, self.stream, _END)
            if event is _END:
                return
            yield event  # type: ignore[misc]

    def stop_thinking(self) -> None:
        self.stream.stop_thinking()

    def abort(self) -> None:
        self.stream.abort()

    async def aclose(self) -> None:
        self.closed = True
        self.stream.close()


class FakeServed:
    """One backend."""

    def __init__(self, backend: LocalBackend) -> None:
        self.backend = backend
        self.asked: list[ChatRequest] = []
        self.callers: list[Caller] = []
        self.runnings: list[FakeRunning] = []
        self.gate: asyncio.Event | None = None
        """While it is there and not set, answers don't go on."""

    @property
    def info(self) -> ModelInfo:
        return self.backend.info

    async def chat(self, request: ChatRequest, caller: Caller = ANYBODY) -> FakeRunning:
        self.asked.append(request)
        self.callers.append(caller)
        return self._run(await asyncio.to_thread(self.backend.stream, request))

    async def complete(
        self, prompt: str | Sequence[int], sampling: Sampling, *, shape: Shape | None = None, caller: Caller = ANYBODY
    ) -> FakeRunning:
        self.callers.append(caller)
        if isinstance(prompt, str):
            return self._run(self.backend.complete(prompt, sampling))
        return self._run(self.backend.engine.submit(EngineRequest(list(prompt), sampling, continuation=True)))

    def _run(self, stream: Stream) -> FakeRunning:
        self.runnings.append(FakeRunning(stream, self.gate))
        return self.runnings[-1]

    async def score(self, context: str, continuations: Sequence[str], caller: Caller = ANYBODY) -> list[Scored]:
        return await asyncio.to_thread(self.backend.score, context, continuations)

    async def embed(self, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY) -> list[Embedding]:
        """Directions that depend on the length alone."""
        found = []
        for text in texts:
            tokens = len(self.backend.tokenizer.encode(text)) if isinstance(text, str) else len(text)
            found.append(Embedding((math.sin(tokens), math.cos(tokens), 0.0, 0.0), tokens))
        return found

    async def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        return self.backend.tokenizer.encode(text, special=special, bos=bos)

    async def detokenize(self, tokens: Sequence[int]) -> str:
        return self.backend.tokenizer.decode(tokens)

    async def render(self, request: ChatRequest) -> Rendered:
        tokens = tuple(self.backend.prepare(request).prompt)
        return Rendered(self.backend.tokenizer.decode(tokens), tokens)


class FakeHost:
    """Backends by name, always loaded."""

    def __init__(self, **backends: LocalBackend) -> None:
        self.models = {name: FakeServed(backend) for name, backend in backends.items()}
        self.held = 0
        self.drained: float | None = None

    def offers(self) -> Sequence[Offer]:
        return [Offer(name, "loaded", served.info, 1_700_000_000) for name, served in self.models.items()]

    @asynccontextmanager
    async def use(self, name: str | None = None) -> AsyncIterator[FakeServed]:
        if self.drained is not None:
            raise EngineStopped("the server is going down")
        if name is not None and name not in self.models:
            raise UnknownModel(f"no model is called {name!r}", hint=", ".join(self.models))
        self.held += 1
        try:
            yield self.models[name or next(iter(self.models))]
        finally:
            self.held -= 1

    async def unload(self, name: str) -> bool:
        return False

    def loads(self) -> Mapping[str, Load]:
        return {}

    async def drain(self, seconds: float) -> None:
        self.drained = seconds


@pytest.fixture
def fake_host() -> Iterator[Callable[..., FakeHost]]:
    """Makes a host of one scripted model called `fake`; the arguments are FakeBackend's."""
    made: list[FakeHost] = []

    def make(*arguments: Any, **options: Any) -> FakeHost:
        made.append(FakeHost(fake=FakeBackend(*arguments, **options)))
        return made[-1]

    yield make
    for host in made:
        assert host.held == 0, "a model is still held"
        for served in host.models.values():
            engine = served.backend.engine
            assert not engine.has_work, "an answer is still being written"
            engine.check_integrity()
            served.backend.close()


@pytest.fixture
def client_of() -> Callable[..., httpx.AsyncClient]:
    """An HTTP client of an app over a host, without a network between."""

    def make(host: FakeHost, settings: ServerSettings | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create_app(host, settings), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://limpide")

    return make
