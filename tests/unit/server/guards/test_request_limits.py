"""Bounds hold while a request is read, however it is cut, and whatever the app makes of the failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from asgi_client import Echo, ask
from starlette.types import Receive, Scope, Send

from limpide.core.errors import RequestTooLarge
from limpide.server.limits import (
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_NODES,
    BodyLimits,
    HeaderLimits,
    Limits,
    OpenRequests,
    check_schema,
)

SMALL = Limits(body_bytes=100, file_bytes=200, open_requests=2, headers=3, header_bytes=64)


@pytest.mark.parametrize("size", [0, 1, 99, 100])
@pytest.mark.parametrize("cut", [1, 7, 100])
def test_bodies_within_the_limit_come_whole(size: int, cut: int, echo: Echo) -> None:
    body = bytes(32 + place % 90 for place in range(size)).replace(b'"', b"'")
    chunks = [body[start : start + cut] for start in range(0, size, cut)]
    answer = asyncio.run(ask(BodyLimits(echo, SMALL), *chunks))
    assert answer.status == 200
    assert answer.body == body


@pytest.mark.parametrize("cut", [1, 7, 101])
def test_without_a_length_the_bytes_are_counted(cut: int, echo: Echo) -> None:
    """Nothing announces the size, and the client would go on for ever."""
    chunks = [b"x" * cut] * (101 // cut + 1)
    answer = asyncio.run(ask(BodyLimits(echo, SMALL), *chunks, forever=True))
    assert answer.status == 413
    assert "at most 100" in answer.error["message"]
    assert echo.bodies == []


def test_a_length_that_is_announced_is_refused_unread(echo: Echo) -> None:
    headers = [("host", "localhost"), ("content-length", "101")]
    answer = asyncio.run(ask(BodyLimits(echo, SMALL), headers=headers, forever=True))
    assert answer.status == 413
    assert echo.scopes == []
    lying = [("host", "localhost"), ("content-length", "5")]
    assert asyncio.run(ask(BodyLimits(echo, SMALL), b"x" * 101, headers=lying)).status == 413


def test_files_may_be_larger(echo: Echo) -> None:
    app = BodyLimits(echo, SMALL)
    headers = [("content-type", "multipart/form-data; boundary=x")]
    assert asyncio.run(ask(app, b"\0" * 150, path="/v1/files", headers=headers)).status == 200
    assert asyncio.run(ask(app, b"\0" * 201, path="/v1/files", headers=headers)).status == 413


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "APPLICATION/JSON; charset=utf-16", None])
def test_json_is_bounded_under_any_name(kind: str | None, echo: Echo) -> None:
    headers = [("content-type", kind)] if kind else []
    deep = b"[" * 65
    app = BodyLimits(echo, SMALL)
    for chunks in ([deep], [deep[:64], deep[64:]]):
        answer = asyncio.run(ask(app, *chunks, headers=headers, forever=True))
        assert answer.status == 400
        assert "64 levels" in answer.error["message"]
    assert asyncio.run(ask(app, b"[" * 32 + b"]" * 32, headers=headers)).status == 200


def test_the_app_may_make_of_it_what_it_will() -> None:
    """Frameworks turn what `receive` raises into errors of their own; the client gets ours."""

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except Exception:  # noqa: BLE001
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"There was an error parsing the body"})

    answer = asyncio.run(ask(BodyLimits(stubborn, SMALL), b"x" * 101))
    assert answer.status == 413
    assert b"parsing" not in answer.body
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]


def test_errors_of_the_app_are_its_own() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask(BodyLimits(failing, SMALL), b"{}"))


@pytest.mark.parametrize("bound", ["silence_seconds", "body_seconds"])
def test_a_body_that_does_not_come(bound: str, echo: Echo) -> None:
    limits = replace(SMALL, **{bound: 0.01})
    answer = asyncio.run(ask(BodyLimits(echo, limits), b'{"a', forever=True))
    assert answer.status == 408
    assert "3 bytes" in answer.error["message"]


def test_after_the_body_a_client_may_be_silent() -> None:
    """It waits for its answer; that is not slow."""

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    assert asyncio.run(ask(BodyLimits(waits, replace(SMALL, silence_seconds=0.01)), b"{}")).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("a", "b")] * 3, 200),
        ([("a", "b")] * 4, 413),
        ([("a", "b" * 63)], 200),
        ([("a", "b" * 64)], 413),
        ([("content-length", "2")], 200),
        ([("content-length", "2"), ("content-length", "3")], 400),
        ([("content-length", "2"), ("transfer-encoding", "chunked")], 400),
        ([("content-length", "-2")], 400),
        ([("content-length", "²")], 400),
        ([("content-length", "1_0")], 400),
        ([("content-length", "9" * 30)], 400),
    ],
)
def test_headers(headers: list[tuple[str, str]], status: int, echo: Echo) -> None:
    assert asyncio.run(ask(HeaderLimits(echo, SMALL), b"{}", headers=headers)).status == status
    assert len(echo.scopes) == (status == 200)


def test_open_requests() -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()
        inside = asyncio.Semaphore(0)

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            inside.release()
            if scope["path"] not in ("/health", "/metrics"):
                await go_on.wait()
            await send({"type": "http.response.body"})

        app = OpenRequests(stream, SMALL)
        streams = [asyncio.create_task(ask(app, b"{}")) for _ in range(2)]
        for _ in streams:
            await inside.acquire()
        refused = await ask(app, b"{}")
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert (await ask(app, path="/health")).status == 200
        assert (await ask(app, path="/metrics")).status == 200
        go_on.set()
        assert [answer.status for answer in await asyncio.gather(*streams)] == [200, 200]
        assert (await ask(app, b"{}")).status == 200, "their places are free"

    asyncio.run(scenario())


def test_schemas() -> None:
    check_schema({"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1000)}})
    check_schema({"enum": ["x" * (MAX_SCHEMA_BYTES - 4)]})
    for schema in (
        {"enum": ["x" * MAX_SCHEMA_BYTES]},
        {"x" * (MAX_SCHEMA_BYTES + 1): 1},
        {"enum": list(range(MAX_SCHEMA_NODES))},
        {"allOf": [{"not": {}}] * MAX_SCHEMA_NODES},
    ):
        with pytest.raises(RequestTooLarge):
            check_schema(schema)
