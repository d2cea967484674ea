"""Pulls beside other work: joined, cancelled, taken up again, and remembered."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from limpide.core.errors import DiskFull, NotFound, Overloaded
from limpide.core.stock import Pull
from limpide.hub.progress import Progress
from limpide.hub.pulls import AT_ONCE, REMEMBERED, Pulls
from limpide.hub.resolve import LocatedModel

HERE = LocatedModel("tiny", Path("tiny.gguf"))


class Transfer:
    """A transfer that goes on when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.times = 0

    def __call__(self, progress: Progress) -> LocatedModel:
        self.times += 1
        progress.begin("tiny.gguf", 10)
        progress.update(4)
        self.begun.release()
        self.go_on.acquire()
        progress.update(10)
        progress.end()
        return HERE

    async def until_begun(self) -> None:
        await asyncio.to_thread(self.begun.acquire)


async def until_ended(pulls: Pulls, pull: Pull) -> Pull:
    while (now := pulls.find(pull.id).seen).state in ("running", "cancelling"):
        await asyncio.sleep(0)
    return now


def test_a_pull_is_watched_joined_and_arrives() -> None:
    async def main() -> None:
        arrived: list[tuple[str, LocatedModel]] = []
        pulls, transfer = Pulls(lambda *come: arrived.append(come)), Transfer()
        first = pulls.start("tiny", transfer)
        await transfer.until_begun()
        assert pulls.start("tiny", transfer).id == first.id
        [seen] = pulls.all()
        assert (seen.state, seen.step, seen.done_bytes, seen.total_bytes) == ("running", "tiny.gguf", 4, 10)
        transfer.go_on.release()
        ended = await until_ended(pulls, first)
        assert (ended.state, ended.done_bytes, arrived) == ("done", 10, [("tiny", HERE)])
        assert transfer.times == 1
        await pulls.aclose()

    asyncio.run(main())


def test_a_cancelled_pull_ends_at_its_next_report_and_nothing_arrives() -> None:
    async def main() -> None:
        arrived: list[str] = []
        pulls, transfer = Pulls(lambda name, _: arrived.append(name)), Transfer()
        pull = pulls.start("tiny", transfer)
        await transfer.until_begun()
        assert pulls.cancel(pull.id).state == "cancelling"
        transfer.go_on.release()
        assert (await until_ended(pulls, pull)).state == "cancelled"
        assert arrived == []
        assert pulls.cancel(pull.id).state == "cancelled", "what has ended stays as it is"
        await pulls.aclose()

    asyncio.run(main())


def test_a_pull_that_is_asked_for_again_while_it_is_cancelled_goes_on() -> None:
    async def main() -> None:
        arrived: list[str] = []
        pulls, transfer = Pulls(lambda name, _: arrived.append(name)), Transfer()
        pull = pulls.start("tiny", transfer)
        await transfer.until_begun()
        pulls.cancel(pull.id)
        assert pulls.start("tiny", transfer).state == "running"
        transfer.go_on.release()
        assert (await until_ended(pulls, pull)).state == "done"
        assert (arrived, transfer.times) == (["tiny"], 1)
        await pulls.aclose()

    asyncio.run(main())


def test_also_one_that_has_noticed_already() -> None:
    fetches = 2
    noticed, go_on = threading.Semaphore(0), threading.Semaphore(0)
    begun: list[Progress] = []

    def fetch(progress: Progress) -> LocatedModel:
        begun.append(progress)
        if len(begun) == fetches:
            return HERE
        try:
            noticed.release()
            go_on.acquire()
            progress.update(1)
        finally:  # as a transfer that closes its connection
            noticed.release()
            go_on.acquire()
        return HERE

    async def main() -> None:
        pulls = Pulls(lambda *_: None)
        pull = pulls.start("tiny", fetch)
        await asyncio.to_thread(noticed.acquire)
        pulls.cancel(pull.id)
        go_on.release()
        await asyncio.to_thread(noticed.acquire)
        assert pulls.start("tiny", fetch).id == pull.id
        go_on.release()
        assert (await until_ended(pulls, pull)).state == "done"
        assert len(begun) == fetches
        await pulls.aclose()

    asyncio.run(main())


def test_what_goes_wrong_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        pulls = Pulls(lambda *_: None)

        def full(progress: Progress) -> LocatedModel:
            raise DiskFull("no room")

        def broken(progress: Progress) -> LocatedModel:
            raise ZeroDivisionError("ours")

        error = (await until_ended(pulls, pulls.start("tiny", full))).error
        assert isinstance(error, DiskFull)
        ended = await until_ended(pulls, pulls.start("tiny", broken))
        assert (ended.state, "a fault of Limpide" in str(ended.error)) == ("failed", True)
        assert "ours" not in str(ended.error)
        assert len(pulls.all()) == 1, "of each model the last pull is remembered"
        with pytest.raises(NotFound):
            pulls.cancel("pull-none")
        await pulls.aclose()

    asyncio.run(main())
    assert "ZeroDivisionError" in caplog.text


def test_bounds() -> None:
    async def main() -> None:
        pulls, transfer = Pulls(lambda *_: None), Transfer()
        for number in range(AT_ONCE):
            pulls.start(f"model-{number}", transfer)
            await transfer.until_begun()
        with pytest.raises(Overloaded):
            pulls.start("one-more", transfer)
        for pull in pulls.all():
            pulls.cancel(pull.id)
        transfer.go_on.release(AT_ONCE)
        for number in range(REMEMBERED + 5):
            await until_ended(pulls, pulls.all()[0])
            pulls.start(f"later-{number}", lambda _: HERE)
            await until_ended(pulls, pulls.all()[0])
        assert len(pulls.all()) == REMEMBERED
        assert pulls.all()[0].model == f"later-{REMEMBERED + 4}"
        await pulls.aclose()

    asyncio.run(main())


def test_closing_stops_them_all() -> None:
    async def main() -> None:
        pulls, transfer = Pulls(lambda *_: None), Transfer()
        pull = pulls.start("tiny", transfer)
        await transfer.until_begun()
        closing = asyncio.create_task(pulls.aclose())
        await asyncio.sleep(0)
        transfer.go_on.release()
        await closing
        assert pulls.find(pull.id).state == "cancelled"

    asyncio.run(main())
