"""Open the model that a command was asked for, with whatever is worth saying on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from limpide.cli.options import NumericsChoice
from limpide.cli.terminal import note
from limpide.core.errors import OfflineError
from limpide.model import Model


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model, and how to run it."""

    reference: str
    numerics: NumericsChoice = NumericsChoice.FAST
    offline: bool = False
    accept_licence: Sequence[str] = ()
    context: int | None = None
    threads: int | None = None


def open_model(choice: Choice) -> Model:
    """Find, fetch if needed, check and load. Raises LimpideError."""
    from limpide.cli.progress import watch

    with watch() as progress:
        return Model(
            choice.reference,
            numerics=choice.numerics.value,
            offline=choice.offline,
            accept_licence=choice.accept_licence,
            context=choice.context,
            threads=choice.threads,
            progress=progress,
        )


def api_key() -> str | None:
    """The key for servers, from the environment: LIMPIDE_API_KEY."""
    return os.environ.get("LIMPIDE_API_KEY") or None


def open_where(choice: Choice, server: str, *, named: bool = True, quiet: bool = False) -> Model:
    """The model where it is to run: `off` here, `auto` on a server of this machine that has it, or at an address.

    named: whether the model was asked for by name; an address has a default of its own. quiet: whether to keep to
    oneself that a server was found. Raises LimpideError.
    """
    if server == "off":
        return open_model(choice)
    if server == "auto":
        from limpide.cli.nearby import find

        found = find(choice)
        if found is None:
            return open_model(choice)
        if not quiet:
            note(
                f"answered by the server at {found.url}, which has {found.info.name} loaded; --server off does without"
            )
        return Model.from_backend(found)
    from limpide.backends.remote.backend import RemoteBackend
    from limpide.backends.remote.endpoint import Endpoint

    endpoint = Endpoint.parse(server, api_key())
    if choice.offline and not endpoint.loopback:
        raise OfflineError(f"{endpoint.url} is not on this machine, and --offline sends nothing", hint="--server off")
    return Model.from_backend(RemoteBackend(endpoint, choice.reference if named else None))


def seconds_since_start() -> float:
    """Since this process began, interpreter start included."""
    import psutil

    return max(0.0, time.time() - float(psutil.Process(os.getpid()).create_time()))
