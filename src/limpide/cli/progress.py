"""A download as a bar on stderr where a person watches, and as plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from limpide.cli.terminal import is_terminal, note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ConsoleProgress:
    """Shows what the hub tells (`limpide.hub.Progress`). rich is imported when there is something to draw.

    End it, or use it as a context manager, so that the terminal is given back.
    """

    def __init__(self) -> None:
        self._watched = is_terminal(sys.stderr)
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def begin(self, what: str, total: int | None) -> None:
        """Show a new bar in place of the old one."""
        self.end()
        if self._watched:
            self._bars = _bars()
            self._bars.start()
            self._task = self._bars.add_task(what, total=total)

    def update(self, done: int) -> None:
        """Move the bar."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done)

    def message(self, text: str) -> None:
        """One line, above the bar if there is one."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            note(text)

    def end(self) -> None:
        """Take the bar away. Safe to call when there is none."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
