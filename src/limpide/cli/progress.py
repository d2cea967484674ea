"""A download as a bar on stderr, and nothing where nobody watches."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from limpide.hub.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import TaskID


class Bar:
    """Progress with rich. Use it as a context manager, so that the terminal is given back."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
        self._bars.stop()

    def begin(self, what: str, total: int | None) -> None:
        """Show a new bar in place of the old one."""
        self.end()
        self._bars.start()
        self._task = self._bars.add_task(what, total=total)

    def update(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(text, markup=False, highlight=False)

    def end(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class Lines(Silent):
    """Messages as plain lines on stderr, no bar: for a log."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def message(self, text: str) -> None:
        """One line."""
        print(text, file=sys.stderr)


def watch() -> Bar | Lines:
    """The way to show a download where stderr goes: a bar on a terminal, plain lines elsewhere."""
    return Bar() if sys.stderr.isatty() else Lines()
