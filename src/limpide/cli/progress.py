"""A download as a bar on stderr, and nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from limpide.cli.terminal import harmless
from limpide.hub.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Bar:
    """Progress with rich, which is imported when the first transfer begins: most commands find their model here.

    Use it as a context manager, so that the terminal is given back.
    """

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
        if self._bars is not None:
            self._bars.stop()

    def begin(self, what: str, total: int | None) -> None:
        """Show a new bar in place of the old one."""
        self.end()
        self._bars = self._bars or _bars()
        self._bars.start()
        self._task = self._bars.add_task(what, total=total)

    def update(self, done: int) -> None:
        """Move the bar."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bars is None:
            print(harmless(text), file=sys.stderr)
        else:
            self._bars.console.print(harmless(text), markup=False, highlight=False)

    def end(self) -> None:
        """Take the bar away."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


def _bars() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class Lines(Silent):
    """Messages as plain lines on stderr, no bar: for a log."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def message(self, text: str) -> None:
        """One line."""
        print(harmless(text), file=sys.stderr)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr with the time that is left, for work of so many pieces; nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None)
        # The speed is that of this process: what an earlier one did is no part of it.
        yield lambda done, total: bars.update(task, completed=done, total=total)


def watch() -> Bar | Lines:
    """The way to show a download where stderr goes: a bar on a terminal, plain lines elsewhere."""
    return Bar() if sys.stderr.isatty() else Lines()
