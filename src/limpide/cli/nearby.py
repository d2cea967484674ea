"""Servers that run on this machine, so that a command can use a model that is already loaded.

A server leaves a note of itself in the state directory and holds a lock beside it. The lock goes with the process,
however it ends: a note whose lock is free is of a server that is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpide.cli.opening import Choice
from limpide.core.errors import BadRequest, EndpointFailed
from limpide.core.places import state_dir

if TYPE_CHECKING:
    from limpide.backends.remote.backend import RemoteBackend

_SECONDS_TO_LOOK = 2.0
"""A server that does not say within this what it has is too busy to be of help."""


def _directory() -> Path:
    return state_dir() / "servers"


@contextmanager
def announced(url: str, names: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Let commands of the same user find this server while the context lasts.

    names: of each model, the reference by which it was asked for and its name. A directory that can't be written to is
    no reason not to serve.
    """
    from filelock import FileLock, Timeout

    note = _directory() / f"{url.rpartition(':')[2]}.json"
    lock = FileLock(note.with_suffix(".lock"), mode=0o600)
    try:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire(timeout=2)
    except (OSError, Timeout):
        yield
        return
    try:
        with suppress(OSError):
            fresh = note.with_suffix(".new")
            fresh.write_text(json.dumps({"url": url, "models": [[_whole(ref), name] for ref, name in names]}))
            fresh.replace(note)
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def find(choice: Choice) -> RemoteBackend | None:
    """A server of this user's that has the model loaded, as it was asked for; None if there is none."""
    if choice.is_address or choice.context is not None or choice.threads is not None or choice.speculate != "auto":
        return None
    wanted = _whole(choice.reference)
    for url, models in _notes():
        for reference, name in models:
            if wanted in (reference, name) and (backend := _loaded(url, name, choice)):
                return backend
    return None


def _loaded(url: str, name: str, choice: Choice) -> RemoteBackend | None:
    from limpide.backends.remote.backend import RemoteBackend
    from limpide.backends.remote.endpoint import Endpoint
    from limpide.backends.remote.patience import NO_PATIENCE
    from limpide.cli.opening import api_key

    try:
        endpoint = Endpoint.parse(url, api_key())
        backend = RemoteBackend(endpoint, name, patience=NO_PATIENCE, seconds_to_look=_SECONDS_TO_LOOK)
    except (BadRequest, EndpointFailed):  # it wants a key, is on its way out, or is busy: we can do without it
        return None
    if backend.limpide and backend.loaded and backend.info.numerics == choice.numerics.value:
        return backend
    backend.close()
    return None


def _notes() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Address and models of each server that runs. Notes of servers that are gone are removed."""
    from filelock import FileLock, Timeout

    for note in sorted(_directory().glob("*.json")):
        try:
            with FileLock(note.with_suffix(".lock"), timeout=0, mode=0o600):
                note.unlink(missing_ok=True)
        except Timeout:
            with suppress(OSError, ValueError):
                yield _read(json.loads(note.read_text()))
        except OSError:
            continue


def _read(told: Any) -> tuple[str, list[tuple[str, str]]]:
    """Raises ValueError unless it is what `announced` writes."""
    if not isinstance(told, dict) or not isinstance(told.get("url"), str) or not isinstance(told.get("models"), list):
        raise ValueError(told)
    models = [(str(entry[0]), str(entry[1])) for entry in told["models"] if isinstance(entry, list) and len(entry) == 2]
    return told["url"], models


def _whole(reference: str) -> str:
    """A path is the same from wherever it is said."""
    path = Path(reference).expanduser()
    return str(path.resolve()) if path.exists() else reference
