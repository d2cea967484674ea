"""One process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from limpide.hub.progress import Progress

_ASK_SECONDS = 0.5


@contextmanager
def alone(path: Path, progress: Progress, waiting: str, done: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Hold the lock of this name. The system gives it back if its holder is killed.

    Whoever has to wait says so, and then tells `done` again and again, so that `progress` can end the wait by raising.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.message(waiting)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=_ASK_SECONDS)
            except Timeout:
                progress.update(done())
    try:
        yield
    finally:
        lock.release()
