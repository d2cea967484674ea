"""How a download tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by the hub, shown by whoever asked. Calls may come from another thread, one at a time."""

    def begin(self, what: str, total: int | None) -> None:
        """A transfer of `total` bytes (None: unknown) starts; an unfinished one is over."""

    def update(self, done: int) -> None:
        """`done` bytes of the current transfer are here."""

    def message(self, text: str) -> None:
        """Something worth one line."""

    def end(self) -> None:
        """The current transfer is over. Safe to call when there is none."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, what: str, total: int | None) -> None:
        """Nothing."""

    def update(self, done: int) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
