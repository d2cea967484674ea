"""The answers that are being written, so that they can be steered by their ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from limpide.core.errors import NotFound
from limpide.core.hosting import Caller, Running


class RunningAnswers:
    """Knows an answer from its first event to its last. One event loop's."""

    def __init__(self) -> None:
        self._by_id: dict[str, tuple[Caller, Running]] = {}

    @contextmanager
    def known(self, name: str, caller: Caller, running: Running) -> Iterator[None]:
        """While the context is held, whoever asked for the answer can find it by its id."""
        self._by_id[name] = (caller, running)
        try:
            yield
        finally:
            del self._by_id[name]

    def find(self, name: str, caller: Caller) -> Running:
        """The answer of this id. Raises NotFound, also if another client asked for it."""
        owner, running = self._by_id.get(name, (None, None))
        if running is None or owner is None or owner.client != caller.client:
            raise NotFound(
                f"no answer with the id {name[:80]!r} is being written",
                expected="the id of a stream of yours that goes on",
            )
        return running
