"""Clients that don't read, over real sockets: they are waited for, but not for ever."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from limpide.server.guards import Guards
from limpide.server.limits import Limits
from limpide.server.patience import patient_protocol

Serve = Callable[..., httpx.Client]
CHAT = "/v1/chat/completions"
LONG: Any = {
    "messages": [{"role": "user", "content": "hello"}],
    "stream": True,
    "logprobs": True,
    "top_logprobs": 20,
}
"""Thousands of tokens with 20 others for each: much more than the buffers of two sockets hold."""

END = b"\r\n0\r\n\r\n"
"""Of a body that was sent whole."""


@contextmanager
def asking(client: httpx.Client) -> Iterator[socket.socket]:
    """A socket with a small buffer that has asked for a stream and has read nothing."""
    body = json.dumps(LONG).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect((client.base_url.host, client.base_url.port))
        made.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield made


def open_requests(client: httpx.Client) -> int:
    """How many others are being answered."""
    found = re.search(r"^limpide_http_requests_open (\d+)", client.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1]) - 1


def everything(sock: socket.socket) -> bytes:
    """What comes until the connection ends, in whichever way."""
    sock.settimeout(30)
    pieces = []
    try:
        while piece := sock.recv(1 << 16):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


@pytest.mark.timeout(60)
def test_who_never_reads_is_let_go(fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host("on and on " * 500), None, Guards(limits=Limits(unread_seconds=0.1)))
    with asking(client) as sock:
        while open_requests(client) == 0:
            pass
        while open_requests(client) > 0:
            pass
        received = everything(sock)
    assert b"200 OK" in received
    assert not received.endswith(END)


class Buffers:
    """A transport that never writes."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(("then", "ended"), [(None, True), ("resume_writing", False), ("connection_lost", False)])
def test_only_who_stays_behind_is_let_go(then: str | None, ended: bool) -> None:
    async def test() -> None:
        kind = patient_protocol(0.0)
        protocol: Any = kind.__new__(kind)
        protocol.transport = transport = Buffers()
        protocol.flow = FlowControl(transport)  # type: ignore[arg-type]
        protocol.pause_writing()
        assert protocol.flow.write_paused
        if then == "resume_writing":
            protocol.resume_writing()
        elif then:
            with pytest.raises(AttributeError):  # of a protocol that never was connected
                protocol.connection_lost(None)
        for _ in range(5):
            await asyncio.sleep(0)
        assert transport.aborted is ended

    asyncio.run(test())
