"""Several models in one process: loaded when they are asked for, unloaded for others' sake and when nobody asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from limpide.backends.entrance import DEFAULT_BOUND, QueueBound
from limpide.backends.hosted import HostedModel
from limpide.backends.local import LocalBackend
from limpide.core.errors import EngineStopped, InvalidParameter, OutOfMemory, Overloaded, UnknownModel
from limpide.core.hosting import Load, Offer
from limpide.core.ports import ModelInfo

BUSY_RETRY_SECONDS = 10
"""When all that could make room is in use: nobody knows for how long."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model that can be loaded. Both functions run in a thread and may take their time."""

    name: str
    load: Callable[[], LocalBackend]
    """Load it. What it raises is what those who asked are told; the next who asks tries again."""
    need: Callable[[], int]
    """Bytes of memory that it will take, predicted before it is loaded."""
    created: int = 0
    """Seconds since 1970 when it came to this machine."""


class _Slot:
    """What becomes of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.model: HostedModel | None = None
        self.info: ModelInfo | None = None
        self.loading: asyncio.Task[HostedModel] | None = None
        self.need = 0
        """Bytes that it takes while it is loaded."""
        self.leases = 0
        self.used_at = 0.0
        self.expiry: asyncio.TimerHandle | None = None

    @property
    def state(self) -> Literal["unloaded", "loading", "loaded"]:
        if self.loading is not None:
            return "loading"
        return "unloaded" if self.model is None else "loaded"

    @property
    def idle(self) -> bool:
        """Whether it is loaded, and nobody would miss it."""
        return self.model is not None and self.leases == 0

    def take(self) -> HostedModel | None:
        """The model, which is the caller's to close now."""
        model, self.model, self.need = self.model, None, 0
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None
        return model


class ModelPool:
    """A `core.hosting.Host` over several sources; the first is the default. Belongs to one event loop.

    memory: bytes that all loaded models may take together, by what their sources predict. When a load needs more, those
    that nobody uses are unloaded, the least recently used first. idle_seconds: a model that nobody used for so long is
    unloaded; None keeps it. queue: how many requests may wait for each model, and how long.

    Raises InvalidParameter without sources, or for two of one name.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        memory: int,
        idle_seconds: float | None = None,
        queue: QueueBound = DEFAULT_BOUND,
    ) -> None:
        self._slots = {source.name: _Slot(source) for source in sources}
        if not sources or len(self._slots) < len(sources):
            raise InvalidParameter("sources", [source.name for source in sources], "at least one name, each once")
        self._memory = memory
        self._idle_seconds = idle_seconds
        self._queue = queue
        # One model at a time: each load is accounted for before the next one asks for room.
        self._making_room = asyncio.Lock()
        self._returned = asyncio.Condition()
        self._draining = False

    def offers(self) -> Sequence[Offer]:
        """Every model that `use` accepts; the first is the default."""
        return [Offer(s.source.name, s.state, s.info, s.source.created) for s in self._slots.values()]

    def add(self, source: Source) -> None:
        """Offer one more model, after the others. One of a name that is offered already changes nothing."""
        self._slots.setdefault(source.name, _Slot(source))

    @property
    def memory(self) -> int:
        """Bytes that all loaded models may take together."""
        return self._memory

    @asynccontextmanager
    async def use(self, name: str | None = None) -> AsyncIterator[HostedModel]:
        """A loaded model, which stays loaded while the context is held. Loads it if need be.

        Raises UnknownModel, OutOfMemory, Overloaded when all that could make room is in use, EngineStopped while
        draining, and whatever loading raises.
        """
        slot = self._slot(name)
        slot.leases += 1
        try:
            yield await self._loaded(slot)
        finally:
            slot.leases -= 1
            slot.used_at = time.monotonic()
            self._watch_idleness(slot)
            async with self._returned:
                self._returned.notify_all()

    async def unload(self, name: str) -> bool:
        """Give a model's memory back, if nobody uses it. False if it was not loaded or is in use."""
        slot = self._slot(name)
        return await self._unload(slot) if slot.idle else False

    def loads(self) -> Mapping[str, Load]:
        """How busy the loaded models are."""
        return {name: slot.model.load for name, slot in self._slots.items() if slot.model is not None}

    async def drain(self, seconds: float) -> None:
        """Take nothing new, let what runs come to its end for at most so long, then close everything."""
        self._draining = True
        deadline = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds), self._returned:
                await self._returned.wait_for(lambda: not any(slot.leases for slot in self._slots.values()))
        except TimeoutError:
            pass
        loading = [slot.loading for slot in self._slots.values() if slot.loading is not None]
        await asyncio.gather(*loading, return_exceptions=True)
        models = [model for slot in self._slots.values() if (model := slot.take()) is not None]
        await asyncio.gather(*(model.aclose(max(0.0, deadline - time.monotonic())) for model in models))

    def _slot(self, name: str | None) -> _Slot:
        if name is None:
            return next(iter(self._slots.values()))
        slot = self._slots.get(name)
        if slot is None:
            near = get_close_matches(name, self._slots, n=3, cutoff=0.4) or list(self._slots)[:3]
            raise UnknownModel(f"no model {name!r} is served here", hint=f"one of {', '.join(near)}")
        return slot

    async def _loaded(self, slot: _Slot) -> HostedModel:
        if self._draining:
            raise EngineStopped("the server is shutting down", hint="ask again when it is back")
        if slot.model is not None and not slot.model.stopped:
            return slot.model
        if slot.loading is None:
            slot.loading = asyncio.create_task(self._load(slot), name=f"load {slot.source.name}")
            slot.loading.add_done_callback(_seen)
        # Shielded: others may wait for the same load, and somebody who asked once will ask again.
        return await asyncio.shield(slot.loading)

    async def _load(self, slot: _Slot) -> HostedModel:
        try:
            async with self._making_room:
                if (broken := slot.take()) is not None:
                    await broken.aclose()
                need = await asyncio.to_thread(slot.source.need)
                await self._make_room(slot.source.name, need)
                model = await asyncio.to_thread(lambda: _host(slot.source.load(), self._queue))
                slot.model, slot.info, slot.need = model, model.info, need
                slot.used_at = time.monotonic()
                return model
        finally:
            slot.loading = None
            self._watch_idleness(slot)

    async def _make_room(self, name: str, need: int) -> None:
        if need > self._memory:
            raise OutOfMemory(
                f"{name} needs {need / 1e9:.2f} GB of memory, and models have {self._memory / 1e9:.2f} GB here",
                expected="a model that fits",
                hint="use a smaller or more strongly quantized model, or a smaller context; see `limpide fit`",
            )
        while need > self._memory - sum(slot.need for slot in self._slots.values()):
            idle = [slot for slot in self._slots.values() if slot.idle]
            if not idle:
                raise Overloaded(
                    f"there is no room for {name} beside the models that are in use", retry_after=BUSY_RETRY_SECONDS
                )
            await self._unload(min(idle, key=lambda slot: slot.used_at))

    async def _unload(self, slot: _Slot) -> bool:
        model = slot.take()
        if model is not None:
            await model.aclose()
        return model is not None

    def _watch_idleness(self, slot: _Slot) -> None:
        """Have the model unloaded when nobody asks for it in time."""
        if slot.expiry is not None:
            slot.expiry.cancel()
            slot.expiry = None
        if self._idle_seconds is not None and slot.idle:
            loop = asyncio.get_running_loop()
            slot.expiry = loop.call_later(self._idle_seconds, self._expire, slot)

    def _expire(self, slot: _Slot) -> None:
        slot.expiry = None
        model = slot.take() if slot.idle else None
        if model is not None:
            # In a thread at once, and not in a task, so that nobody has to hold on to the task.
            asyncio.get_running_loop().run_in_executor(None, model.close)


def _host(backend: LocalBackend, queue: QueueBound) -> HostedModel:
    try:
        return HostedModel(backend, queue=queue)
    except BaseException:
        backend.close()
        raise


def _seen(task: asyncio.Task[HostedModel]) -> None:
    """Those who waited may all be gone: nobody has to be told that nobody took the error."""
    if not task.cancelled():
        task.exception()
