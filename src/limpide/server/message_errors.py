"""Errors in Anthropic's form, whole and in streams."""

from __future__ import annotations

from typing import Any

from limpide.server.errors import Problem, problem_of, writable
from limpide.server.record import current_record
from limpide.server.sse import frame
from limpide.server.wire.message_errors import MessageError, MessageErrorDetails, MessageErrorReply, MessageErrorType

_TYPES: dict[int, MessageErrorType] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_TOO_LONG = "prompt is too long: "
"""How Anthropic's message begins: agents look for these words to know that they must shorten the conversation."""


def anthropic_form(problem: Problem) -> dict[str, Any]:
    """Anthropic's error body."""
    return _reply(problem).model_dump()


def anthropic_error_frame(error: Exception) -> bytes:
    """An error in the middle of a stream, in Anthropic's form."""
    return frame(_reply(problem_of(error)).model_dump_json(), "error")


def _reply(problem: Problem) -> MessageErrorReply:
    status, record = problem.status, current_record()
    message = writable(problem.message)
    if problem.code == "context_length_exceeded":
        message = _TOO_LONG + message
    elif problem.param and problem.param not in problem.message:  # clients show the message alone
        message = f"{writable(problem.param)}: {message}"
    error = MessageError(
        type=_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
        message=message,
        details=MessageErrorDetails(error_code=problem.code, param=problem.param and writable(problem.param)),
    )
    return MessageErrorReply(type="error", error=error, request_id=record.id if record else None)
