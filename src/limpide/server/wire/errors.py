"""What errors look like, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from limpide.server.wire.base import Reply


class ErrorDetail(Reply):
    """One error, in OpenAI's form."""

    message: str
    type: str
    param: str | None
    """The field that is wrong, as a path: `messages[0].content`."""
    code: str | None


class ErrorReply(Reply):
    """The body of every answer that is an error."""

    error: ErrorDetail


def _described(text: str) -> dict[str, Any]:
    return {"model": ErrorReply, "description": text}


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _described("The request can't be done as asked; `param` names the field."),
    401: _described("No key, or one that is not known."),
    403: _described("Not with this key, or not before a licence is accepted."),
    404: _described("Nothing goes by this name."),
    405: _described("The path knows other methods."),
    413: _described("The body is too large."),
    415: _described("The body is not JSON."),
    429: _described("Too many requests; `Retry-After` says when to come again."),
    500: _described("A fault of the server."),
    "4XX": _described("Anything else that the client can mend."),
    503: _described("No room at the moment; `Retry-After` says when to come again."),
}
