"""How a middleware answers with an error: it stands outside of the app's own handlers."""

from __future__ import annotations

import json
import math

from starlette.responses import Response

from limpide.core.errors import LimpideError
from limpide.server.asgi import Scope, Send
from limpide.server.record import current_record


async def refuse(error: LimpideError, scope: Scope, send: Send) -> None:
    """Answer a request with an error, in the form of its path's dialect."""
    if record := current_record():
        record.error = error.slug
    await fail(error, scope, send)


async def fail(error: Exception, scope: Scope, send: Send) -> None:
    """Answer a request with whatever went wrong; of what nobody expected it says nothing but that."""
    response = error_response(error, scope["path"])
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, _nothing, send)


def error_response(error: Exception, path: str) -> Response:
    status = error.http_status if isinstance(error, LimpideError) else 500
    seconds = getattr(error, "retry_after", None)
    headers = {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
    what = str(error) if isinstance(error, LimpideError) else "something went wrong inside Limpide"
    body = {"error": {"message": what, "type": "error", "param": None, "code": None}}
    return Response(json.dumps(body), status, headers, "application/json")


async def _nothing() -> dict[str, str]:
    return {"type": "http.disconnect"}
