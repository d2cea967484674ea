"""What the middlewares share of ASGI."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from limpide.core.hosting import Caller

__all__ = [
    "INTERNAL",
    "ASGIApp",
    "HttpMiddleware",
    "Receive",
    "Scope",
    "Send",
    "client_of",
    "headers_of",
    "internal_caller",
]


class HttpMiddleware:
    """Stands around an app for its HTTP requests; all else, as its start and end, passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the app answer."""
        if scope["type"] == "http":
            await self._handle(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


INTERNAL = "limpide.caller"
"""Key of a scope that the server made itself: on whose behalf. Nothing that comes over a socket can set it."""


def internal_caller(scope: Scope) -> Caller | None:
    """On whose behalf the server asks itself; None for a request from outside."""
    caller = scope.get(INTERNAL)
    return caller if isinstance(caller, Caller) else None


def headers_of(scope: Scope, name: bytes) -> list[str]:
    """All values of a header, by its name in lower case."""
    return [value.decode("latin-1").strip() for key, value in scope.get("headers", ()) if key.lower() == name]


def client_of(scope: Scope) -> str:
    """The address at the other end of the connection; empty for a socket that has none."""
    client = scope.get("client")
    return str(client[0]) if client else ""
