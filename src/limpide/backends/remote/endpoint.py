"""Where a model is reached, and with which key."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from limpide.core.errors import InvalidParameter

_EXPECTED = "an address like http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address under which `/chat/completions` is found."""

    url: str
    """Without a slash at its end, for example `https://api.example.com/v1`."""
    key: str | None = field(default=None, repr=False)
    """Sent as a bearer token, and never shown."""

    @classmethod
    def parse(cls, url: str, key: str | None = None) -> Self:
        """Check what a person wrote. `/v1` is added to an address without a path. Raises InvalidParameter."""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidParameter("address", url, f"{_EXPECTED} ({error})") from None
        if parts.scheme not in ("http", "https") or not host or port == 0 or parts.query or parts.fragment:
            raise InvalidParameter("address", url, _EXPECTED)
        if parts.username or parts.password:
            raise InvalidParameter("address", "…@" + host, "no key in the address", hint="put it into the environment")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key and key):
            raise InvalidParameter("key", "…", "printable ASCII characters without space around them")
        path = parts.path.rstrip("/") or "/v1"
        return cls(urlunsplit((parts.scheme, parts.netloc, path, "", "")), key)

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine, so that no packet leaves it."""
        host = urlsplit(self.url).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
