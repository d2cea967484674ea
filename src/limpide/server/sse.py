"""Server-sent events: their framing, pings in silence, and the end of work when the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from limpide.server.errors import log_unexpected, openai_form, problem_of

_T = TypeVar("_T")
Frames = AsyncGenerator[bytes, None]

PING = b": ping\n\n"
"""A comment, which clients skip."""
DONE = b"data: [DONE]\n\n"
"""The end of a stream in OpenAI's dialect."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Nobody in between should keep or collect what comes a token at a time."""


def frame(payload: str, event: str | None = None) -> bytes:
    """One event. `payload` is JSON text, which holds no line breaks."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {payload}\n\n".encode()


def openai_error_frame(error: Exception) -> bytes:
    """An error in the middle of a stream, in OpenAI's form."""
    return frame(json.dumps(openai_form(problem_of(error)), ensure_ascii=False))


class EventStream(Response):
    """Sends frames as they come. When the client leaves, the generator is closed wherever it is.

    closing: gives back what the frames are made from, also if not one of them was made. on_error: the frame that stands
    for an error of the generator; the stream ends with it. ping: what is sent into silence.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: Frames,
        *,
        ping_seconds: float,
        closing: Callable[[], Awaitable[None]],
        on_error: Callable[[Exception], bytes] = openai_error_frame,
        ping: bytes = PING,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self._frames = frames
        self._ping_seconds = ping_seconds
        self._closing = closing
        self._on_error = on_error
        self._ping = ping
        self.init_headers(HEADERS)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or as much as the client waits for."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with suppress(ClientDisconnect):
                await until_client_leaves(receive, self._send_all(send))
        finally:
            try:
                await self._frames.aclose()
            finally:
                await self._closing()

    async def _send_all(self, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        last = clock()

        async def write(body: bytes, *, more: bool = True) -> None:
            nonlocal last
            await send({"type": "http.response.body", "body": body, "more_body": more})
            last = clock()

        async def ping() -> None:
            while True:
                await asyncio.sleep(last + self._ping_seconds - clock())
                if clock() - last >= self._ping_seconds:
                    await write(self._ping)

        pinging = asyncio.create_task(ping())
        try:
            async for each in self._frames:
                await write(each)
        except Exception as error:  # noqa: BLE001 - the status is sent: all that is left is to say it in the stream
            log_unexpected(error)
            await write(self._on_error(error))
        finally:
            pinging.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await pinging
        await write(b"", more=False)


async def until_client_leaves(receive: Receive, work: Awaitable[_T]) -> _T:
    """What `work` returns. If the client leaves before, it is cancelled and ClientDisconnect raised.

    The request's body must have been read.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _left(receive: Receive) -> None:
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()
