"""What an endpoint finds on its request."""

from __future__ import annotations

from starlette.requests import Request

from limpide.core.hosting import ANYBODY, Caller, Host
from limpide.server.asgi import internal_caller
from limpide.server.running import RunningAnswers
from limpide.server.settings import ServerSettings


def host_of(request: Request) -> Host:
    """The models."""
    host: Host = request.app.state.host
    return host


def settings_of(request: Request) -> ServerSettings:
    """How this server is set."""
    settings: ServerSettings = request.app.state.settings
    return settings


def caller_of(request: Request) -> Caller:
    """On whose behalf to compute; anybody, where no key tells."""
    found: Caller = getattr(request.state, "caller", ANYBODY)
    return internal_caller(request.scope) or found


def answers_of(request: Request) -> RunningAnswers:
    """The answers that are being written, by id."""
    answers: RunningAnswers = request.app.state.answers
    return answers
