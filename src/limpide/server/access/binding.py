"""Where the server may listen, and under which names and from which pages it may be asked there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from limpide.core.errors import InvalidParameter, NotAllowed
from limpide.server.access.store import KeyStore
from limpide.server.asgi import ASGIApp, HttpMiddleware, Receive, Scope, Send, headers_of
from limpide.server.refusals import refuse

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")


def is_loopback(address: str) -> bool:
    """Whether an address, or name, that is listened on can be reached from this machine alone."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(address: str, store: KeyStore | None) -> None:
    """Refuse to listen where strangers can ask, unless there is a key to ask them for. Raises InvalidParameter."""
    if is_loopback(address) or (store is not None and store.all()):
        return
    raise InvalidParameter(
        "host",
        address,
        "an address of this machine alone (127.0.0.1), as there is no key yet",
        hint="limpide keys create NAME makes one; then every request needs it",
    )


class LocalOnly(HttpMiddleware):
    """Keeps web pages from asking a server that needs no key.

    A browser sends what a page asks for from the machine that it runs on. A page can have a name of its own point
    here (DNS rebinding), which the Host header tells, or post here blindly, which the Origin header tells.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        super().__init__(app)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if error := self._fault(scope):
            await refuse(error, scope, send)
            return
        await self._app(scope, receive, send)

    def _fault(self, scope: Scope) -> NotAllowed | None:
        hosts = headers_of(scope, b"host")
        if len(hosts) != 1 or not self._is_here(hosts[0]):
            return NotAllowed(
                "the Host header does not name this machine",
                expected="localhost, 127.0.0.1 or [::1]",
                hint="limpide serve --allow-host NAME, if this server is called so",
            )
        for origin in headers_of(scope, b"origin"):
            if not self._is_welcome(origin.lower(), hosts[0].lower()):
                return NotAllowed(
                    "a web page of another origin may not ask this server",
                    hint="limpide serve --allow-origin ORIGIN, if it is yours",
                )
        return None

    def _is_here(self, host: str) -> bool:
        match = _HOST.fullmatch(host.lower())
        return match is not None and (match[1] in self._hosts or is_loopback(match[1]))

    def _is_welcome(self, origin: str, host: str) -> bool:
        return origin in self._origins or origin in (f"http://{host}", f"https://{host}")
