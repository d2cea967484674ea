"""What an endpoint finds on its request."""

from __future__ import annotations

from starlette.requests import Request

from limpide.core.errors import NotFound
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
    """The models of this machine and of the catalog. Raises NotFound where the server was made without."""
    stock: Stock | None = request.app.state.stock
    if stock is None:
        raise NotFound("this server serves the models that it was made with, and knows of no others")
    return stock


def room_of(request: Request) -> int | None:
    """Bytes that the server's process holds; None where nobody counts."""
    stock: Stock | None = request.app.state.stock
    return stock.room().resident if stock else None


def allow_model(request: Request, model: str) -> None:
    """Whether the caller's key is for this model. Raises NotAllowed, KeyRefused."""
    keyring: Keyring | None = getattr(request.app.state, "keyring", None)
    if keyring is not None:
        keyring.check_model(caller_of(request).client, (model,))
