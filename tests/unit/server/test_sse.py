"""Server-sent events, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from limpide.core.errors import EngineStopped
from limpide.server.sse import EventStream, frame

GONE = {"type": "http.disconnect"}


class Client:
    """The other end of ASGI: keeps what comes, leaves when told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self.leaving = asyncio.Event()
        self.leave_after: int | None = None

    async def receive(self) -> dict[str, Any]:
        await self.leaving.wait()
        return GONE

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body":
            self.bodies.append(message["body"])
            if len(self.bodies) == self.leave_after:
                self.leaving.set()


def sent(
    frames: Callable[[], AsyncGenerator[bytes, None]], *, leave_after: int | None = None, ping_seconds: float = 60
) -> tuple[Client, list[str]]:
    """What a client got, and what was closed on the way."""
    ends: list[str] = []

    async def closing() -> None:
        ends.append("closed")

    async def run() -> Client:
        client = Client()
        client.leave_after = leave_after
        stream = EventStream(frames(), ping_seconds=ping_seconds, closing=closing)
        await stream({"type": "http"}, client.receive, client.send)
        return client

    return asyncio.run(run()), ends


def test_frames() -> None:
    assert frame('{"a":"é"}') == 'data: {"a":"é"}\n\n'.encode()
    assert frame("{}", "ping") == b"event: ping\ndata: {}\n\n"


def test_a_stream_from_beginning_to_end() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield frame("1")
        yield frame("2")

    client, ends = sent(frames)
    start, *bodies = client.messages
    assert start["status"] == 200
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    assert [(m["body"], m["more_body"]) for m in bodies] == [
        (b"data: 1\n\n", True),
        (b"data: 2\n\n", True),
        (b"", False),
    ]
    assert ends == ["closed"]


def test_an_error_in_the_middle_is_the_last_event() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield frame("1")
        raise EngineStopped("it was closed")

    client, ends = sent(frames)
    assert client.bodies == [
        b"data: 1\n\n",
        b'data: {"error": {"message": "it was closed", "type": "overloaded_error", "param": null, '
        b'"code": "engine_stopped"}}\n\n',
        b"",
    ]
    assert ends == ["closed"]


def test_an_error_of_ours_is_not_told() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield frame("1")
        raise RuntimeError("secret")

    client, _ = sent(frames)
    assert b"secret" not in b"".join(client.bodies)
    assert b'"server_error"' in client.bodies[1]


def test_silence_is_filled_with_comments() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield frame("1")
        await asyncio.Event().wait()

    client, _ = sent(frames, leave_after=3, ping_seconds=0.001)
    assert client.bodies[:3] == [b"data: 1\n\n", b": ping\n\n", b": ping\n\n"]


@pytest.mark.parametrize("waits", [True, False], ids=["while it waits", "while it writes"])
def test_when_the_client_leaves_the_work_is_closed(waits: bool) -> None:
    ends: list[str] = []

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield frame("1")
                await (asyncio.Event().wait() if waits else asyncio.sleep(0))
        finally:
            ends.append("frames")

    client, closed = sent(frames, leave_after=1)
    assert (ends, closed) == (["frames"], ["closed"])
    assert not any(message.get("more_body") is False for message in client.messages)


def test_what_never_began_is_closed_too() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield frame("1")

    async def run() -> list[str]:
        ends: list[str] = []

        async def closing() -> None:
            ends.append("closed")

        async def send(_: Any) -> None:
            raise OSError("the connection is gone")

        stream = EventStream(frames(), ping_seconds=60, closing=closing)
        with pytest.raises(OSError):
            await stream({"type": "http"}, Client().receive, send)
        return ends

    assert asyncio.run(run()) == ["closed"]
