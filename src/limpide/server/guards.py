"""Everything that stands between the network and the endpoints, in the order in which a request meets it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from limpide.core.errors import InvalidParameter
from limpide.core.hosting import Host
from limpide.server.access import Keyring, KeyStore, LocalOnly, RequestAccess, check_binding, is_loopback
from limpide.server.limits import BodyLimits, HeaderLimits, Limits, OpenRequests
from limpide.server.logs import RequestLog
from limpide.server.metering import Books, MeteredHost
from limpide.server.metrics import Metrics, RequestMetrics
from limpide.server.request_ids import RequestIds
from limpide.server.traces import RequestTraces, Tracing


@dataclass(frozen=True, slots=True)
class Guards:
    """Who may ask, how much, and what is written down of it."""

    address: str = "127.0.0.1"
    """Where the server listens."""
    require_keys: bool = False
    """Whether requests from this machine need a key too."""
    allowed_hosts: tuple[str, ...] = ()
    """Names of this machine besides localhost, for requests without a key."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may ask."""
    limits: Limits = field(default_factory=Limits)
    log_content: bool = False
    keys: KeyStore | None = None
    tracing: Tracing | None = None

    def check(self) -> None:
        """Raises InvalidParameter if the server would be open to strangers, or to nobody for want of a key."""
        check_binding(self.address, self.keys)
        if self.require_keys and not (self.keys and self.keys.all()):
            raise InvalidParameter(
                "require-keys", "on", "a key, as there is none yet", hint="limpide keys create NAME makes one"
            )

    def close(self) -> None:
        """Close the keys, and send the traces that wait. When the server has ended."""
        if self.keys:
            self.keys.close()
        if self.tracing:
            self.tracing.close()


def install(app: FastAPI, host: Host, guards: Guards, open_paths: Collection[str] = ()) -> Host:
    """Put the guards around an app, before it starts. Returns the host that its endpoints must use.

    open_paths: what needs no key besides `/health`, as it says nothing of anybody. A browser opens the page before
    the page can ask for a key.

    Raises InvalidParameter if the server would be open to strangers.
    """
    guards.check()
    local = is_loopback(guards.address)
    keyring = Keyring(guards.keys, required=guards.require_keys or not local)
    metrics = Metrics(host)
    app.state.metrics = metrics
    app.state.keyring = keyring
    stack: list[tuple[Any, dict[str, Any]]] = [
        (RequestIds, {}),
        (RequestMetrics, {"metrics": metrics}),
        (RequestLog, {"content": guards.log_content}),
        (HeaderLimits, {"limits": guards.limits}),
    ]
    if guards.tracing:
        stack.insert(2, (RequestTraces, {"tracer": guards.tracing.tracer}))
    if local:
        stack.append((LocalOnly, {"hosts": guards.allowed_hosts, "origins": guards.allowed_origins}))
    if guards.allowed_origins:
        stack.append((CORSMiddleware, _cors(guards.allowed_origins)))
    stack += [
        (RequestAccess, {"keyring": keyring, "open_paths": open_paths}),
        (OpenRequests, {"limits": guards.limits}),
        (BodyLimits, {"limits": guards.limits}),
    ]
    for middleware, options in reversed(stack):
        app.add_middleware(middleware, **options)
    return MeteredHost(host, Books(keyring, metrics))


def _cors(origins: tuple[str, ...]) -> dict[str, Any]:
    return {
        "allow_origins": origins,
        "allow_methods": ("GET", "POST", "DELETE"),
        "allow_headers": ("*",),
        "expose_headers": ("x-request-id", "retry-after"),
    }
