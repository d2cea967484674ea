"""One line per request, for people or as JSON. What was asked and answered is not in it unless that was asked for."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.types import Message

from limpide.server.asgi import ASGIApp, HttpMiddleware, Receive, Scope, Send
from limpide.server.record import RequestRecord, current_record, path_template
from limpide.server.refusals import fail

_log = logging.getLogger("limpide.server.requests")
CONTENT_BYTES = 64 * 1024
"""How much of a body is logged, if bodies are."""


class DiscreetFormatter(logging.Formatter):
    """Writes what happened, and where in the code, but not the words of exceptions: those may quote a prompt."""

    def __init__(self, *, as_json: bool, content: bool = False) -> None:
        super().__init__()
        self._as_json = as_json
        self._content = content

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in it."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._message(record),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields |= self._exception(record.exc_info[1])
        if self._as_json:
            return json.dumps(fields, ensure_ascii=True, default=str)
        time, level, _, event, *_ = fields.values()
        rest = " ".join(f"{name}={_plain(value)}" for name, value in list(fields.items())[4:])
        return f"{time} {level:<7} {event} {rest}".rstrip()

    def _message(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        # asyncio, for one, puts exceptions into the further lines of a message.
        return message if self._content else message.partition("\n")[0]

    def _exception(self, error: BaseException) -> dict[str, Any]:
        frames = traceback.extract_tb(error.__traceback__)
        shown = {
            "exception": type(error).__name__,
            "traceback": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        return shown | ({"message": str(error)} if self._content else {})


_FROM = {"limpide": logging.DEBUG, "uvicorn": logging.INFO}


class _Discretion(logging.Filter):
    """Other libraries write addresses, headers and bodies: from them only what is worth a person's attention."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= _FROM.get(record.name.partition(".")[0], logging.WARNING)


def configure_logging(
    *, as_json: bool, level: str = "info", content: bool = False, stream: TextIO | None = None
) -> logging.Handler:
    """Send all logs of the process to stderr in our form. Returns the handler, so that it can be taken away again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(DiscreetFormatter(as_json=as_json, content=content))
    handler.addFilter(_Discretion())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.access").disabled = True  # it writes query strings, and ours says more
    return handler


class RequestLog(HttpMiddleware):
    """Writes the line of each request when it has ended, and answers for what went wrong unexpectedly."""

    def __init__(self, app: ASGIApp, *, content: bool = False) -> None:
        super().__init__(app)
        self._content = content

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = current_record()
        if record is None:
            await self._app(scope, receive, send)
            return
        watched = _Watched(record, receive, send, content=self._content)
        try:
            await self._app(scope, watched.receive, watched.send)
        except Exception as error:  # noqa: BLE001 - its words must not reach whoever else would log it
            record.error = type(error).__name__
            _log.error("unexpected error", exc_info=error, extra={"fields": {"request_id": record.id}})
            if not watched.answered:
                await fail(error, scope, watched.send)
            # Else nothing more can be said: the server sees the answer unfinished and closes the connection.
        finally:
            _log.info("request", extra={"fields": line(record, path_template(scope)) | watched.content()})


def line(record: RequestRecord, path: str) -> dict[str, Any]:
    """What a request's line says; what does not apply is left out."""
    fields = {
        "request_id": record.id,
        "method": record.method,
        "path": path,
        "status": record.status,
        "seconds": round(record.seconds, 4),
        "client": record.client,
        "key": record.key,
        "model": record.model,
        "operation": record.operation,
        "queue_seconds": _rounded(record.queue_seconds),
        "first_token_seconds": _rounded(record.first_token_seconds),
        "error": record.error,
        "disconnected": record.disconnected or None,
    }
    if record.operation:
        fields |= {
            "prompt_tokens": record.prompt_tokens,
            "cached_tokens": record.cached_tokens,
            "thinking_tokens": record.thinking_tokens,
            "answer_tokens": record.answer_tokens,
        }
    return {name: value for name, value in fields.items() if value is not None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text.isprintable() and " " not in text and text else json.dumps(text)


class _Watched:
    """A request's two directions, watched for its end, and kept only if content is logged."""

    def __init__(self, record: RequestRecord, receive: Receive, send: Send, *, content: bool) -> None:
        self._record, self._receive, self._send = record, receive, send
        self._kept: dict[str, bytearray] | None = {"request": bytearray(), "response": bytearray()} if content else None
        self.answered = False
        self._complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._record.disconnected = not self._complete
        else:
            self._keep("request", message)
        return message

    async def send(self, message: Message) -> None:
        self.answered = True
        if message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)
            self._keep("response", message)
        await self._send(message)

    def content(self) -> dict[str, str]:
        kept = self._kept or {}
        return {name: bytes(body).decode("utf-8", "replace") for name, body in kept.items()}

    def _keep(self, name: str, message: Message) -> None:
        if self._kept is not None:
            body = self._kept[name]
            body += message.get("body", b"")[: CONTENT_BYTES - len(body)]
