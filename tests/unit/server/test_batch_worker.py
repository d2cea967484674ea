"""The worker alone, over a real store, with calls whose answers are known."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from limpide.core.hosting import Caller
from limpide.server.batches import worker as worker_module
from limpide.server.batches.internal import InternalReply
from limpide.server.batches.worker import BatchWorker
from limpide.server.store import BatchStore, Database, FileStore, Lease, Line, StoredBatch
from limpide.server.store.files import new_file

Answer = Callable[[dict[str, Any]], Awaitable[InternalReply]]


def reply(status: int = 200, body: Any = None, **headers: str) -> InternalReply:
    return InternalReply(status, json.dumps(body or {"ok": True}).encode(), "req_1", headers)


def openai_error(code: str) -> Any:
    return {"error": {"message": "no", "type": "overloaded_error", "param": None, "code": code}}


def anthropic_error(code: str) -> Any:
    return {"type": "error", "error": {"type": "overloaded_error", "message": "no", "details": {"error_code": code}}}


class Calls:
    """Answers as told, and remembers what was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any, Caller]] = []
        self.at_once = self.most_at_once = 0

    async def post(self, path: str, body: bytes, caller: Caller) -> InternalReply:
        self.asked.append((path, json.loads(body), caller))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.answer(json.loads(body))
        finally:
            self.at_once -= 1


async def ok(_: dict[str, Any]) -> InternalReply:
    await asyncio.sleep(0)
    return reply()


class Bench:
    """A store with one batch, and a worker on it."""

    def __init__(self, answer: Answer, path: Path | None = None, *, lines: int = 3) -> None:
        self.database = Database(path)
        self.store, self.files = BatchStore(self.database), FileStore(self.database)
        self.calls = Calls(answer)
        lease = Lease(path and path.with_name("lease.lock"))
        self.worker = BatchWorker(self.store, lease, self.calls, lines=lines)

    async def add(self, count: int, *, expires_in: int = 3600, client: str = "owner") -> str:
        data, lines = b"", []
        for number in range(1, count + 1):
            request = {"custom_id": f"id-{number}", "method": "POST", "url": "/v1/x", "body": {"number": number}}
            text = json.dumps(request).encode()
            lines.append(Line(number, f"id-{number}", len(data), len(text)))
            data += text + b"\n"
        pieces = iter([data, b""])
        file = await self.files.add(new_file(client, "in", "batch"), lambda _: next(pieces))
        now = int(time.time())
        body = {
            "id": f"batch_{count}",
            "status": "validating",
            "created_at": now,
            "expires_at": now + expires_in,
            "input_file_id": file.id,
        }
        await self.store.add(StoredBatch(client, body), lines)
        self.worker.wake()
        return str(body["id"])

    async def status(self, batch_id: str) -> Any:
        return (await self.store.get(batch_id, "owner")).body

    async def until(self, batch_id: str, *states: str) -> Any:
        while (body := await self.status(batch_id))["status"] not in states:
            await asyncio.sleep(0)
        return body


async def working(bench: Bench, test: Awaitable[Any]) -> Any:
    task = asyncio.create_task(bench.worker.run())
    try:
        return await asyncio.wait_for(test, 30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bench.database.close()


def test_lines_are_asked_for_their_owner_in_idle_time_several_at_once() -> None:
    together = asyncio.Event()

    async def answer(_: dict[str, Any]) -> InternalReply:
        if bench.calls.at_once == 3:
            together.set()
        await together.wait()
        return reply()

    async def test() -> None:
        await bench.until(await bench.add(7), "completed")
        assert [caller for _, _, caller in bench.calls.asked] == [Caller("owner", idle=True)] * 7
        assert sorted(body["number"] for _, body, _ in bench.calls.asked) == list(range(1, 8))
        assert bench.calls.most_at_once == 3

    bench = Bench(answer)
    asyncio.run(working(bench, test()))


FORMS = pytest.mark.parametrize("form", [openai_error, anthropic_error])


@FORMS
@pytest.mark.parametrize(
    ("status", "code", "times"), [(429, "limit_reached", 20), (503, "overloaded", 20), (503, "engine_stopped", 4)]
)
def test_come_again_is_no_result(
    status: int, code: str, times: int, form: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_WAIT_SECONDS", 0.0)
    refusals = iter([status] * times)

    async def busy(_: dict[str, Any]) -> InternalReply:
        status = next(refusals, 200)
        return reply(status, form(code) if status != 200 else None, **{"retry-after": "5"})

    async def test() -> None:
        body = await bench.until(await bench.add(1), "completed")
        assert (body["request_counts"]["completed"], len(bench.calls.asked)) == (1, times + 1)

    bench = Bench(busy)
    asyncio.run(working(bench, test()))


@FORMS
@pytest.mark.parametrize(("code", "attempts"), [("out_of_memory", 1), ("engine_stopped", 5)])
def test_what_stays_wrong_is_an_error_of_its_line(
    code: str, attempts: int, form: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_WAIT_SECONDS", 0.0)

    async def broken(body: dict[str, Any]) -> InternalReply:
        return reply(503, form(code), **{"retry-after": "5"}) if body["number"] == 1 else reply()

    async def test() -> None:
        body = await bench.until(await bench.add(2), "completed")
        assert body["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
        assert [asked["number"] for _, asked, _ in bench.calls.asked].count(1) == attempts
        [line] = [json.loads(part) async for part in bench.files.content(body["error_file_id"])]
        assert (line["custom_id"], line["response"]["status_code"]) == ("id-1", 503)
        assert line["response"]["body"] == form(code)

    bench = Bench(broken)
    asyncio.run(working(bench, test()))


def test_what_is_not_begun_in_time_expires() -> None:
    async def test() -> None:
        body = await bench.until(await bench.add(3, expires_in=0), "expired")
        assert body["request_counts"] == {"total": 3, "completed": 0, "failed": 3}
        text = b"".join([part async for part in bench.files.content(body["error_file_id"])])
        assert [json.loads(each)["error"]["code"] for each in text.splitlines()] == ["batch_expired"] * 3
        assert bench.calls.asked == []

    bench = Bench(ok)
    asyncio.run(working(bench, test()))


def test_a_worker_that_stops_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    async def half(body: dict[str, Any]) -> InternalReply:
        if body["number"] > 2:
            await asyncio.Event().wait()
        return reply()

    async def first() -> str:
        batch = await before.add(4)
        while (await before.status(batch))["request_counts"]["completed"] < 2:
            await asyncio.sleep(0)
        return batch

    async def second() -> None:
        await after.until(batch, "completed")
        assert sorted(body["number"] for _, body, _ in after.calls.asked) == [3, 4]

    before = Bench(half, tmp_path / "server.db")
    batch = asyncio.run(working(before, first()))
    after = Bench(ok, tmp_path / "server.db")
    asyncio.run(working(after, second()))


def test_one_of_two_processes_works(tmp_path: Path) -> None:
    async def test() -> None:
        batch = await bench.add(1)
        for _ in range(50):
            bench.worker.wake()
            await asyncio.sleep(0)
        assert (await bench.status(batch))["status"] == "validating"
        assert bench.calls.asked == []
        other.give()
        bench.worker.wake()
        await bench.until(batch, "completed")

    other = Lease(tmp_path / "lease.lock")
    assert other.take()
    bench = Bench(ok, tmp_path / "server.db")
    asyncio.run(working(bench, test()))
