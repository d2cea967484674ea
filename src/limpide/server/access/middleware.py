"""Asks each request for its key, and counts it."""

from __future__ import annotations

from collections.abc import Collection

from limpide.core.errors import LimpideError
from limpide.core.hosting import Caller
from limpide.server.access.keyring import Keyring
from limpide.server.asgi import ASGIApp, HttpMiddleware, Receive, Scope, Send, client_of, headers_of
from limpide.server.record import current_record
from limpide.server.refusals import refuse

OPEN = frozenset({"/health"})
"""Paths that say nothing of anybody, for those who watch whether the server lives."""


class RequestAccess(HttpMiddleware):
    """Sets `request.state.caller`, or answers 401, 403 or 429."""

    def __init__(self, app: ASGIApp, keyring: Keyring, open_paths: Collection[str] = ()) -> None:
        super().__init__(app)
        self._keyring = keyring
        self._open = OPEN.union(open_paths)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        try:
            key = self._keyring.identify(presented_keys(scope))
            if key is not None:
                self._keyring.allowances.take(key)
        except LimpideError as error:
            await refuse(error, scope, send)
            return
        caller = Caller(client_of(scope) if key is None else key.client)
        scope.setdefault("state", {})["caller"] = caller
        if record := current_record():
            record.caller, record.key = caller.client, key.name if key else None
        try:
            await self._app(scope, receive, send)
        finally:
            if key is not None:
                self._keyring.allowances.give_back(key)


def presented_keys(scope: Scope) -> list[str]:
    """What a request brought as keys, in either of the two headers that clients use."""
    found = []
    for value in headers_of(scope, b"authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer":
            found.append(key.strip())
    return [*found, *headers_of(scope, b"x-api-key")]
