"""What the server asks of itself meets the endpoints, and nothing that stands before them for strangers."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from limpide.core.errors import InvalidParameter
from limpide.core.hosting import Caller
from limpide.server import errors
from limpide.server.batches.internal import InternalCalls
from limpide.server.wire.base import Ask


class Asked(Ask):
    number: int


class Wall:
    """Lets nobody in."""

    def __init__(self, app: object) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("a request of our own met a middleware")


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(1, 200, "'owner', idle=True"), (2, 400, "number"), (3, 500, "went wrong"), ("x", 400, "number")],
)
def test_endpoints_alone_and_errors_in_their_form(number: object, status: int, said: str) -> None:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(Wall)

    @app.post("/v1/x")
    async def endpoint(request: Request, asked: Asked) -> dict[str, str]:
        if asked.number == 2:
            raise InvalidParameter("number", 2, "1")
        if asked.number == 3:
            raise KeyError("a bug")
        return {"caller": repr(request.state.caller)}

    calls = InternalCalls(app)
    reply = asyncio.run(calls.post("/v1/x", json.dumps({"number": number}).encode(), Caller("owner", idle=True)))
    assert reply.status == status
    assert said in reply.body.decode()
    assert reply.headers["content-type"] == "application/json"
    assert ("error" in json.loads(reply.body)) == (status != 200)
