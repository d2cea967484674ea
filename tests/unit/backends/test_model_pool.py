"""Models that come when they are asked for and go when others need their room."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.core.errors import (
    CorruptModelFile,
    EngineStopped,
    InvalidParameter,
    OutOfMemory,
    Overloaded,
    TokenizerUnavailable,
    UnknownModel,
)
from limpide.core.events import TextDelta
from limpide.core.hosting import ServedModel
from limpide.core.sampling import Sampling


class Shelf:
    """Sources of scripted models, and what was loaded from them."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.backends: list[FakeBackend] = []
        self.failures: list[Exception] = []

    def source(self, name: str, need: int = 10, before: Callable[[], None] = lambda: None, **options: Any) -> Source:
        def load() -> FakeBackend:
            before()
            self.loaded.append(name)
            if self.failures:
                raise self.failures.pop()
            self.backends.append(FakeBackend(f"I am {name}.", name=name, **options))
            return self.backends[-1]

        return Source(name, load, lambda: need, created=len(name))

    def pool(self, *sources: Source, memory: int = 25, **options: Any) -> ModelPool:
        return ModelPool(sources or [self.source(name) for name in ("one", "two", "three")], memory=memory, **options)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    before = set(threading.enumerate())  # what tests of other files have left running is not ours
    shelf = Shelf()
    yield shelf
    for backend in shelf.backends:
        with pytest.raises(EngineStopped):
            _ = backend.engine
    assert [t for t in set(threading.enumerate()) - before if t.name.startswith("limpide-")] == []


def run(pool: ModelPool, work: Coroutine[Any, Any, None]) -> None:
    async def then_drain() -> None:
        try:
            await work
        finally:
            await pool.drain(10)

    asyncio.run(asyncio.wait_for(then_drain(), 60))


async def says(model: ServedModel) -> str:
    running = await model.complete("Who?", Sampling())
    return "".join([event.text async for event in running if isinstance(event, TextDelta)])


def states(pool: ModelPool) -> list[str]:
    return [offer.state for offer in pool.offers()]


def test_the_first_is_the_default_and_names_are_checked(shelf: Shelf) -> None:
    pool = shelf.pool()

    async def work() -> None:
        assert states(pool) == ["unloaded"] * 3
        assert pool.offers()[1].info is None
        async with pool.use() as model:
            assert model.info.name == "one"
        async with pool.use("two") as model:
            assert await says(model) == "I am two."
        assert [(o.name, o.state, o.created) for o in pool.offers()] == [
            ("one", "loaded", 3),
            ("two", "loaded", 3),
            ("three", "unloaded", 5),
        ]
        assert pool.offers()[1].info == model.info
        assert pool.loads().keys() == {"one", "two"}
        with pytest.raises(UnknownModel, match="three"):
            async with pool.use("there"):
                pass
        with pytest.raises(UnknownModel):
            await pool.unload("four")

    run(pool, work())
    with pytest.raises(InvalidParameter):
        ModelPool([], memory=1)
    with pytest.raises(InvalidParameter):
        shelf.pool(shelf.source("one"), shelf.source("one"))


def test_those_who_ask_at_once_wait_for_one_load(shelf: Shelf) -> None:
    go = threading.Event()
    pool = shelf.pool(shelf.source("one", before=lambda: assert_true(go.wait(30))))

    async def ask() -> str:
        async with pool.use() as model:
            return await says(model)

    async def work() -> None:
        tasks = [asyncio.create_task(ask()) for _ in range(5)]
        gone = asyncio.create_task(ask())
        while states(pool) != ["loading"]:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        go.set()
        assert await asyncio.gather(*tasks) == ["I am one."] * 5
        assert shelf.loaded == ["one"]

    run(pool, work())


def assert_true(value: bool) -> None:
    assert value


def test_the_least_recently_used_makes_room(shelf: Shelf) -> None:
    pool = shelf.pool()

    async def work() -> None:
        for name in ("one", "two", "one"):
            async with pool.use(name):
                pass
        async with pool.use("three"):
            assert states(pool) == ["loaded", "unloaded", "loaded"]
        assert pool.offers()[1].info is not None, "what was once known stays known"
        async with pool.use("two"):
            assert states(pool) == ["unloaded", "loaded", "loaded"]

    run(pool, work())
    assert shelf.loaded == ["one", "two", "three", "two"]


def test_what_is_in_use_is_never_unloaded(shelf: Shelf) -> None:
    pool = shelf.pool()

    async def work() -> None:
        async with pool.use("one") as one, pool.use("two"):
            assert not await pool.unload("one")
            with pytest.raises(Overloaded) as caught:
                async with pool.use("three"):
                    pass
            assert caught.value.retry_after >= 1
            assert states(pool) == ["loaded", "loaded", "unloaded"]
            assert await says(one) == "I am one."
        assert await pool.unload("one")
        assert not await pool.unload("one")
        async with pool.use("three"):
            assert states(pool) == ["unloaded", "loaded", "loaded"]

    run(pool, work())


def test_what_can_never_fit_is_refused_and_nobody_is_unloaded_for_it(shelf: Shelf) -> None:
    pool = shelf.pool(shelf.source("small"), shelf.source("huge", need=26))

    async def work() -> None:
        async with pool.use("small"):
            pass
        with pytest.raises(OutOfMemory):
            async with pool.use("huge"):
                pass
        assert states(pool) == ["loaded", "unloaded"]

    run(pool, work())
    assert shelf.loaded == ["small"]


def test_a_load_that_fails_leaves_nothing_and_is_tried_again(shelf: Shelf) -> None:
    pool = shelf.pool(shelf.source("one", need=20), shelf.source("two", need=20))
    shelf.failures = [CorruptModelFile("damaged")]

    async def ask() -> str:
        async with pool.use("one") as model:
            return await says(model)

    async def work() -> None:
        first, second = await asyncio.gather(ask(), ask(), return_exceptions=True)
        assert isinstance(first, CorruptModelFile)
        assert second is first
        assert states(pool) == ["unloaded"] * 2
        assert await ask() == "I am one."
        assert await pool.unload("one")
        async with pool.use("two"):
            pass

    run(pool, work())
    assert shelf.loaded == ["one", "one", "two"]


def test_a_model_without_text_is_refused_and_closed(shelf: Shelf) -> None:
    class Mute(FakeBackend):
        @property
        def engine(self) -> Any:
            if self._engine is not None:
                raise TokenizerUnavailable("no tokenizer")
            return super().engine

    def load() -> FakeBackend:
        shelf.backends.append(Mute())
        return shelf.backends[-1]

    pool = ModelPool([Source("mute", load, lambda: 1)], memory=25)

    async def work() -> None:
        with pytest.raises(TokenizerUnavailable):
            async with pool.use():
                pass
        assert states(pool) == ["unloaded"]

    run(pool, work())


def test_idle_models_go(shelf: Shelf) -> None:
    pool = shelf.pool(idle_seconds=0)

    async def work() -> None:
        async with pool.use("one"), pool.use("one"):
            for _ in range(5):
                await asyncio.sleep(0)
            assert states(pool)[0] == "loaded"
        while states(pool)[0] == "loaded":
            await asyncio.sleep(0)
        async with pool.use("one") as model:
            assert await says(model) == "I am one."

    run(pool, work())
    assert shelf.loaded == ["one", "one"]


def test_an_engine_that_failed_is_replaced(shelf: Shelf) -> None:
    pool = shelf.pool()

    async def work() -> None:
        async with pool.use() as model:
            await model.aclose()
        async with pool.use() as model:
            assert await says(model) == "I am one."

    run(pool, work())
    assert shelf.loaded == ["one", "one"]


def test_draining_waits_for_answers_and_takes_nothing_new(shelf: Shelf) -> None:
    pool = shelf.pool()
    begun = asyncio.Event()

    async def ask() -> str:
        async with pool.use() as model:
            begun.set()
            return await says(model)

    async def work() -> None:
        task = asyncio.create_task(ask())
        await begun.wait()
        draining = asyncio.create_task(pool.drain(30))
        await asyncio.sleep(0)
        with pytest.raises(EngineStopped):
            async with pool.use("one"):
                pass
        assert await task == "I am one."
        await draining
        assert pool.loads() == {}

    run(pool, work())


def test_draining_ends_those_who_take_too_long(shelf: Shelf) -> None:
    pool = shelf.pool(shelf.source("endless", script=lambda history: ord("."), chat=False, model_context=100_000))

    async def work() -> None:
        async with pool.use() as model:
            running = await model.complete("Go", Sampling())
            await anext(running)
            await pool.drain(0)
            with pytest.raises(EngineStopped):
                async for _ in running:
                    pass

    run(pool, work())


def test_a_model_that_is_added_is_offered_and_loaded_and_comes_last(shelf: Shelf) -> None:
    async def main() -> None:
        pool = shelf.pool()
        pool.add(shelf.source("four"))
        pool.add(shelf.source("one", need=10**9))
        assert [offer.name for offer in pool.offers()] == ["one", "two", "three", "four"]
        async with pool.use("four") as model:
            assert model.info.name == "four"
        async with pool.use("one"):
            pass
        await pool.drain(0)

    asyncio.run(main())
