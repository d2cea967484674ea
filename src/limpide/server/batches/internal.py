"""Requests that the server makes of itself: through the same endpoints, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limpide.core.hosting import Caller
from limpide.server.asgi import INTERNAL
from limpide.server.ids import new_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message


@dataclass(frozen=True, slots=True)
class InternalReply:
    """What an endpoint answered. Header names are in lower case."""

    status: int
    body: bytes
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)


class InternalCalls:
    """Calls an application. The caller is known beforehand: no key is asked for, and its rate of requests stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def post(self, path: str, body: bytes, caller: Caller) -> InternalReply:
        """The whole answer. Cancelling the call is what a client's leaving is to a request from outside."""
        request_id = new_id("req_")
        exchange = _Exchange(body)
        await self._app(_scope(path, body, caller, request_id), exchange.receive, exchange.send)
        return InternalReply(exchange.status, b"".join(exchange.pieces), request_id, exchange.headers)


class _Exchange:
    """One request and its answer, from the application's side."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status = 500
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []

    async def receive(self) -> Message:
        if self._body is None:  # nobody leaves: who waits for it waits until the call is over
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
        elif message["type"] == "http.response.body":
            self.pieces.append(message.get("body", b""))


def _scope(path: str, body: bytes, caller: Caller, request_id: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
        ],
        "client": None,
        "server": None,
        INTERNAL: caller,
    }
