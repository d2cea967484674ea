"""What an endpoint finds on its request."""

from __future__ import annotations

from starlette.requests import Request

from limpide.core.hosting import ANYBODY, Caller, Host
from limpide.core.stock import Stock
from limpide.server.access.keyring import Keyring
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
    caller: Caller = getattr(request.state, "caller", ANYBODY)
    return caller


def answers_of(request: Request) -> RunningAnswers:
    """The answers that are being written, by id."""
    answers: RunningAnswers = request.app.state.answers
    return answers


def stock_of(request: Request) -> Stock:
    """What else could be served."""
    stock: Stock = request.app.state.stock
    return stock


def allow_model(request: Request, model: str) -> None:
    """Whether the caller's key is for this model. Raises NotAllowed, KeyRefused."""
    keyring: Keyring | None = getattr(request.app.state, "keyring", None)
    if keyring is not None:
        keyring.check_model(caller_of(request).client, (model,))
