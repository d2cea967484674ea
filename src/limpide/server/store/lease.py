"""Which of several processes does something. The system ends a lease together with its holder, however that dies."""

from __future__ import annotations

import contextlib
from pathlib import Path

from filelock import FileLock, Timeout

from limpide.core.errors import StoreUnavailable


class Lease:
    """A lock on a file that nobody waits for. Without a path there is nobody else, and it can always be had."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = None if path is None else FileLock(path, mode=0o600, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this process holds it, by this object."""
        return self._lock is None or self._lock.is_locked

    def take(self) -> bool:
        """Hold it from now on; False if somebody else does."""
        if self._lock is None or self._path is None or self._lock.is_locked:
            return True
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise StoreUnavailable(f"{self._path} can't be locked: {error.strerror or error}") from error
        return True

    def give(self, *, forget: bool = False) -> None:
        """Let it go. forget: nobody will ask for it again, remove its file. Safe to call twice."""
        if self._lock is None or self._path is None:
            return
        if forget and self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._lock.release()
