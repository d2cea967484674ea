"""Open the model that a command was asked for, with whatever is worth saying on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from limpide.cli.options import NumericsChoice
from limpide.cli.terminal import note
from limpide.core.errors import InvalidParameter, OfflineError
from limpide.model import Model


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model, and how to run it."""

    reference: str
    """What `limpide.hub.resolve` takes, or an address of OpenAI's API with `#name` behind it."""
    numerics: NumericsChoice = NumericsChoice.FAST
    offline: bool = False
    accept_licence: Sequence[str] = ()
    context: int | None = None
    threads: int | None = None
    at_once: int = 8
    """Requests that are under way together, to an address."""
    speculate: str = "auto"

    @property
    def is_address(self) -> bool:
        """Whether the model is reached over HTTP."""
        return self.reference.startswith(("http://", "https://"))


def open_model(choice: Choice) -> Model:
    """Find, fetch if needed, check and load; or ask at the address. Raises LimpideError."""
    if choice.is_address:
        return _at_address(choice)
    from limpide.cli.progress import watch

    with watch() as progress:
        return Model(
            choice.reference,
            numerics=choice.numerics.value,
            offline=choice.offline,
            accept_licence=choice.accept_licence,
            context=choice.context,
            threads=choice.threads,
            speculate=choice.speculate,
            progress=progress,
        )


def open_nearby(choice: Choice, *, quiet: bool = False) -> Model:
    """The model on a server of this machine that has it loaded, or else as `open_model` has it.

    quiet: whether to keep to oneself that a server was found. Raises LimpideError.
    """
    from limpide.cli.nearby import find

    found = find(choice)
    if found is None:
        return open_model(choice)
    if not quiet:
        note(f"answered by the server at {found.url}, which has {found.info.name} loaded; --here does without")
    return Model.from_backend(found)


def api_key() -> str | None:
    """The key for servers, from the environment: LIMPIDE_API_KEY."""
    return os.environ.get("LIMPIDE_API_KEY") or None


def _at_address(choice: Choice) -> Model:
    """`http://host/v1`, with `#name` where it has several models."""
    from limpide.backends.remote.backend import RemoteBackend
    from limpide.backends.remote.endpoint import Endpoint

    url, _, name = choice.reference.partition("#")
    for option in ("context", "threads"):
        if (value := getattr(choice, option)) is not None:
            raise InvalidParameter(option, value, "nothing: that is the business of the server at the address")
    if choice.speculate not in ("auto", "off"):
        raise InvalidParameter("speculate", choice.speculate, "auto: the server at the address guesses or does not")
    endpoint = Endpoint.parse(url, api_key())
    if choice.offline and not endpoint.loopback:
        raise OfflineError(f"{endpoint.url} is not on this machine, and --offline sends nothing")
    backend = RemoteBackend(endpoint, name or None, at_once=choice.at_once)
    if backend.info.numerics not in (None, choice.numerics.value):
        backend.close()
        raise InvalidParameter("numerics", choice.numerics.value, f"{backend.info.numerics}, as the server computes")
    return Model.from_backend(backend)


def seconds_since_start() -> float:
    """Since this process began, interpreter start included."""
    import psutil

    return max(0.0, time.time() - float(psutil.Process(os.getpid()).create_time()))
