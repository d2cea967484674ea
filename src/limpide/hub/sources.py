"""What every place that models come from has in common."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from limpide.hub.progress import Progress


class SourceFailed(Exception):
    """This source did not deliver, and another one may. Never leaves the hub."""


class Source(Protocol):
    """One place that carries the bytes of one model file."""

    @property
    def label(self) -> str:
        """The source in a few words, for people."""

    def locate(self) -> Path | None:
        """The file if it already is on this machine outside our store. Sends nothing; the content is not checked."""

    def room_needed(self, size_bytes: int, store: Path) -> tuple[Path, int]:
        """The directory that a fetch writes to, and how many free bytes it takes there at its peak."""

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        """Bring the file here: written to `target`, or elsewhere if the source keeps it in a place of its own.

        `scratch` is a directory whose content survives a failure, so that the next try can go on from it. The content
        is not checked. Raises SourceFailed, or DiskFull.
        """

    def discard(self, path: Path) -> None:
        """Remove a fetched file that turned out to be wrong."""
