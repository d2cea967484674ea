"""How a middleware answers with an error: it stands outside of the app's own handlers."""

from __future__ import annotations

from limpide.core.errors import LimpideError
from limpide.server.asgi import Scope, Send
from limpide.server.errors import error_response, problem_of
from limpide.server.record import current_record


async def refuse(error: LimpideError, scope: Scope, send: Send) -> None:
    """Answer a request with an error, in the form of its path's dialect."""
    if record := current_record():
        record.error = problem_of(error).code
    await fail(error, scope, send)


async def fail(error: Exception, scope: Scope, send: Send) -> None:
    """Answer a request with whatever went wrong; of what nobody expected it says nothing but that."""
    response = error_response(error, scope["path"])
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, _nothing, send)


async def _nothing() -> dict[str, str]:
    return {"type": "http.disconnect"}
