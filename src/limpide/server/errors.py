"""Every error as a status and a body. Endpoints raise; nobody else writes error bodies.

The body is OpenAI's, `{"error": {"message", "type", "param", "code"}}`, unless the path belongs to another dialect.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from limpide.core.errors import (
    ContextExceeded,
    InvalidParameter,
    InvalidShape,
    InvalidText,
    LimpideError,
    NotFound,
    UnknownModel,
)
from limpide.server.invalid import describe_invalid
from limpide.server.record import current_record

_log = logging.getLogger("limpide.server")

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_CODES: dict[type[LimpideError], str] = {
    ContextExceeded: "context_length_exceeded",
    UnknownModel: "model_not_found",
    NotFound: "not_found",
}
_FIELDS = {"shape": "response_format", "logit_bias token": "logit_bias", "prompt token": "prompt"}
"""What the models call a parameter, to the field that it came in."""
_SECONDS_TO_RETRY = 5
CLIENT_LEFT = 499
"""Nobody reads it but the log."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a client meets it, before it is put in a dialect's form."""

    status: int
    message: str
    type: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] | None = None


Form = Callable[[Problem], dict[str, Any]]
"""How a dialect writes an error."""


def openai_form(problem: Problem) -> dict[str, Any]:
    """OpenAI's error body."""
    error = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": {name: text and writable(text) for name, text in error.items()}}


FORMS: dict[str, Form] = {}
"""Beginning of a path to the form of its errors, for dialects that are not OpenAI's."""


def problem_of(error: Exception) -> Problem:
    """What to tell of an error. Of an unexpected one, nothing but that it happened."""
    if isinstance(error, UnicodeEncodeError):  # the schema itself stumbles over it where it compares texts
        error = InvalidText("a text of the request holds half of a character, a lone surrogate")
    if isinstance(error, LimpideError):
        status = error.http_status
        slug = error.slug.replace("-", "_")
        param = error.parameter if isinstance(error, InvalidParameter | InvalidShape) else None
        param = _FIELDS.get(param, param) if param else None
        return Problem(status, str(error), _type(status), _CODES.get(type(error), slug), param, _headers(status, error))
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        status = error.status_code
        known = status in HTTPStatus.__members__.values()
        code = HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_") if known else None
        return Problem(status, str(error.detail), _type(status), code, None, error.headers)
    return Problem(500, "something went wrong inside Limpide; the server's log says what", "server_error", "internal")


FIELDS: dict[str, Mapping[str, str]] = {
    "/v1/responses": {"response_format": "text.format", "max_tokens": "max_output_tokens"},
    "/v1/messages": {"response_format": "output_config.format"},
}
"""Beginning of a path to what its dialect calls fields."""


def error_response(error: Exception, path: str) -> Response:
    """The whole answer to a request on `path` that failed; for middlewares, which no handler of the app surrounds."""
    problem = problem_of(error)
    names = next((names for prefix, names in FIELDS.items() if path.startswith(prefix)), {})
    problem = replace(problem, param=names.get(problem.param or "", problem.param))
    return JSONResponse(form_for(path)(problem), problem.status, headers=dict(problem.headers or {}))


def form_for(path: str) -> Form:
    """In which form a path's errors are written."""
    return next((form for prefix, form in FORMS.items() if path.startswith(prefix)), openai_form)


def log_unexpected(error: Exception) -> None:
    """Log what is our fault, with its traceback; nothing of what the client sent but what that shows."""
    if not isinstance(error, LimpideError | RequestValidationError | HTTPException | UnicodeEncodeError):
        _log.error("unexpected error", exc_info=error)


def install(app: FastAPI) -> None:
    """Answer every error of the app's endpoints in its form."""

    async def answer(request: Request, error: Exception) -> Response:
        log_unexpected(error)
        if record := current_record():
            record.error = problem_of(error).code
        return error_response(error, request.url.path)

    async def nobody(_: Request, __: Exception) -> Response:
        return Response(status_code=CLIENT_LEFT)

    for kind in (LimpideError, RequestValidationError, HTTPException, UnicodeEncodeError, Exception):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(ClientDisconnect, nobody)


def writable(text: str) -> str:
    """Messages quote what came, and that may hold halves of characters."""
    return text.encode(errors="replace").decode()


def _type(status: int) -> str:
    return _TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")


def _headers(status: int, error: LimpideError) -> Mapping[str, str] | None:
    seconds = getattr(error, "retry_after", None)
    if seconds is None and status not in (429, 503):
        return None
    return {"Retry-After": str(max(1, math.ceil(_SECONDS_TO_RETRY if seconds is None else seconds)))}


def _invalid(error: RequestValidationError) -> Problem:
    if isinstance(error.body, bytes):
        return Problem(415, "the body must be JSON\nTry: Content-Type: application/json", _type(415), "not_json")
    invalid = describe_invalid(error.errors(), error.body)
    return Problem(400, invalid.message, _type(400), invalid.code, invalid.param)
