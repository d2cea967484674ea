"""Every request has a name, which the client may choose: in the response, the log and the trace."""

from __future__ import annotations

import re
from uuid import uuid4

from starlette.types import Message

from limpide.server.asgi import HttpMiddleware, Receive, Scope, Send, client_of, headers_of
from limpide.server.record import RequestRecord, begin_record, method_of

_NAMES = (b"x-request-id", b"request-id")
"""What OpenAI's clients and Anthropic's call it."""
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def request_id(scope: Scope) -> str:
    """The client's `x-request-id` if there is one that can stand in a log line and a header, else a new one."""
    given = headers_of(scope, b"x-request-id")
    if len(given) == 1 and _SANE.fullmatch(given[0]):
        return given[0]
    return f"req_{uuid4().hex[:24]}"


class RequestIds(HttpMiddleware):
    """Begins the request's record, and names the request in the response. The outermost middleware."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = RequestRecord(request_id(scope), method_of(scope), client_of(scope))
        begin_record(record)
        scope.setdefault("state", {})["request_id"] = record.id

        async def with_names(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _NAMES]
                named = [(name, record.id.encode("ascii")) for name in _NAMES]
                message = {**message, "headers": [*kept, *named]}
            await send(message)

        await self._app(scope, receive, with_names)
