"""What errors look like in Anthropic's dialect, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from limpide.server.wire.base import Reply
from limpide.server.wire.errors import ERROR_RESPONSES

MessageErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "timeout_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "overloaded_error",
]


class MessageErrorDetails(Reply):
    """The same, for programs."""

    error_code: str | None
    param: str | None
    """The field that is wrong, as a path: `messages[0].content`."""


class MessageError(Reply):
    """One error, in Anthropic's form."""

    type: MessageErrorType
    message: str
    details: MessageErrorDetails


class MessageErrorReply(Reply):
    """The body of every answer that is an error; in a stream, its last event."""

    type: Literal["error"]
    error: MessageError
    request_id: str | None
    """Also the header `request-id`."""


MESSAGE_ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {**described, "model": MessageErrorReply} for status, described in ERROR_RESPONSES.items()
}
