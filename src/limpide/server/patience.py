"""Connections that wait only so long for a client to read what was sent to it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_log = logging.getLogger("limpide.server")
_HTTP: Any = AutoHTTPProtocol
"""uvicorn's protocol; which of two it is depends on what is installed."""


class _Patience:
    """Ends a connection whose client leaves more unread than the buffers hold.

    uvicorn stops who sends when that happens, and waits. Ended from here, the connection is lost as if the client had
    closed it: whatever was being written for it stops, and its buffers are freed, which closing it would not do.
    """

    patience: ClassVar[float]
    transport: asyncio.Transport
    _waiting: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client is behind."""
        self._waiting = asyncio.get_running_loop().call_later(self.patience, self._give_up)
        cast(Any, super()).pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._rest()
        cast(Any, super()).resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is nobody to wait for."""
        self._rest()
        cast(Any, super()).connection_lost(exc)

    def _give_up(self) -> None:
        _log.warning("a client left what was sent to it unread for %g s; its connection is ended", self.patience)
        self.transport.abort()

    def _rest(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def patient_protocol(seconds: float) -> type[asyncio.Protocol]:
    """What uvicorn takes as `http`: its own protocol, for clients that are behind for at most so long.

    Behind is a client that the operating system's buffers and 64 KiB beside have more for than they hold. It has caught
    up when 16 KiB are left, and then has as long again.
    """
    return cast(type[asyncio.Protocol], type("PatientProtocol", (_Patience, _HTTP), {"patience": seconds}))
