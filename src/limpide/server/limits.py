"""How much of the server one request, and all together, may take."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from starlette.types import Message

from limpide.core.errors import BadRequest, LimpideError, Overloaded, RequestTooLarge, RequestTooSlow
from limpide.server.asgi import ASGIApp, HttpMiddleware, Receive, Scope, Send, headers_of
from limpide.server.json_scan import JsonScan
from limpide.server.refusals import refuse

MIB = 1 << 20
FILES = "/v1/files"
ALWAYS = frozenset({"/health", "/metrics"})
"""Paths that are answered however much there is to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server takes."""

    body_bytes: int = 16 * MIB
    file_bytes: int = 256 * MIB
    """Of a body sent to /v1/files."""
    headers: int = 100
    header_bytes: int = 32 * 1024
    """Names and values of all headers together."""
    open_requests: int = 256
    body_seconds: float = 60.0
    """For a whole body, and 1 more for each 64 KiB that has come."""
    silence_seconds: float = 15.0
    """Between two parts of a body."""
    unread_seconds: float = 60.0
    """How long what was sent to a client may stay unread before its connection is ended; see `patience.py`."""


class HeaderLimits(HttpMiddleware):
    """Refuses more headers than any client sends."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        super().__init__(app)
        self._limits = limits

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if error := self._fault(scope):
            await refuse(error, scope, send)
            return
        await self._app(scope, receive, send)

    def _fault(self, scope: Scope) -> LimpideError | None:
        headers = scope.get("headers", ())
        if len(headers) > self._limits.headers:
            return RequestTooLarge(f"{len(headers)} headers", expected=f"at most {self._limits.headers}")
        size = sum(len(name) + len(value) for name, value in headers)
        if size > self._limits.header_bytes:
            return RequestTooLarge(f"{size} bytes of headers", expected=f"at most {self._limits.header_bytes}")
        lengths = headers_of(scope, b"content-length")
        # A length beside chunks, or two lengths, is how requests are smuggled past a proxy.
        if len(lengths) > 1 or (lengths and headers_of(scope, b"transfer-encoding")):
            return BadRequest("the headers state the length of the body in two ways", expected="one Content-Length")
        if lengths and not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) < 19):
            return BadRequest("Content-Length is not a number of bytes", expected="decimal digits")
        return None


class OpenRequests(HttpMiddleware):
    """Bounds how many requests are being answered at once; the others are sent away, not kept waiting."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        super().__init__(app)
        self._most = limits.open_requests
        self._open = 0

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._open >= self._most:
            error = Overloaded(f"{self._open} requests are being answered, which is as many as may be", retry_after=1)
            await refuse(error, scope, send)
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1


class BodyLimits(HttpMiddleware):
    """Bounds a body while it is read: its size, its time, and, of JSON, what it would cost to parse.

    Nothing is kept here. What breaks a limit is raised from `receive`; whatever the app makes of that, the client
    gets our answer.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        super().__init__(app)
        self._limits = limits

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(scope, receive, send, self._limits)
        if error := body.announced_fault():
            await refuse(error, scope, send)
            return
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if body.fault is None:
                raise
        if body.fault is not None and not body.answered:
            await refuse(body.fault, scope, send)


class _Body:
    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._limits = limits
        self._most = limits.file_bytes if scope["path"] == FILES else limits.body_bytes
        self._announced = headers_of(scope, b"content-length")
        self._scan = JsonScan() if _may_be_json(headers_of(scope, b"content-type")) else None
        self._receive, self._send = receive, send
        self._size = 0
        self._complete = False
        self._deadline: float | None = None
        self.fault: LimpideError | None = None
        self.answered = False

    def announced_fault(self) -> LimpideError | None:
        """What the headers alone give away."""
        if self._announced and int(self._announced[0]) > self._most:
            return self._too_large(int(self._announced[0]))
        return None

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            message = await self._next()
            if message["type"] == "http.request":
                self._look_at(message.get("body", b""))
                self._complete = not message.get("more_body", False)
        except LimpideError as error:
            self.fault = error
            raise
        return message

    async def send(self, message: Message) -> None:
        if self.fault is not None and not self.answered:
            return  # what the app says of our error; we say it ourselves
        self.answered = True
        await self._send(message)

    async def _next(self) -> Message:
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + self._limits.body_seconds
        late = self._deadline + self._size / 65536 - now
        try:
            async with asyncio.timeout(min(late, self._limits.silence_seconds)):
                return await self._receive()
        except TimeoutError:
            raise RequestTooSlow(
                f"the body did not arrive in time; {self._size} bytes of it came",
                expected=f"something every {self._limits.silence_seconds:g} seconds",
            ) from None

    def _look_at(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._most:
            raise self._too_large(self._size)
        if self._scan is not None:
            self._scan.feed(chunk)

    def _too_large(self, size: int) -> RequestTooLarge:
        return RequestTooLarge(f"the body has {size} bytes or more", expected=f"at most {self._most}")


def _may_be_json(types: Collection[str]) -> bool:
    """Anything may be but what is a file by its name: a parser may not look at the type at all."""
    kind = next(iter(types), "").partition(";")[0].strip().lower()
    return kind not in ("multipart/form-data", "application/octet-stream")


MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_NODES = 4096


def check_schema(schema: object) -> None:
    """Refuse a JSON schema that would take long to compile. Raises RequestTooLarge.

    Counts every value and every byte of its strings and names; the nesting was bounded when it was read.
    """
    nodes = size = 0
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        nodes += 1
        if isinstance(value, dict):
            waiting += value.values()
            size += sum(len(str(name)) for name in value)
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str):
            size += len(value.encode("utf-8", "surrogatepass"))
        if nodes + len(waiting) > MAX_SCHEMA_NODES or size > MAX_SCHEMA_BYTES:
            raise RequestTooLarge(
                "the schema is too large",
                expected=f"at most {MAX_SCHEMA_NODES} values and {MAX_SCHEMA_BYTES} bytes of text",
            )
