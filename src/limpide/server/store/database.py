"""One SQLite database, used from one thread of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from limpide.core.errors import DiskFull, LimpideError, StoreUnavailable
from limpide.server.store.schema import APPLICATION_ID, MIGRATIONS

T = TypeVar("T")

_MEANING = {
    sqlite3.SQLITE_BUSY: ("another process has held it for too long", "try again in a moment"),
    sqlite3.SQLITE_LOCKED: ("another process has held it for too long", "try again in a moment"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "move it away, with its -wal and -shm; the server makes a new one"),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database", "move it away; the server makes a new one"),
    sqlite3.SQLITE_READONLY: ("it may only be read", "give the server's user the right to write it"),
    sqlite3.SQLITE_CANTOPEN: ("it can't be opened", "check that its directory exists and may be written"),
    sqlite3.SQLITE_PERM: ("this user may not open it", "give the server's user the right to read and write it"),
}
"""Primary result codes of SQLite that a person can do something about."""


class Database:
    """The tables of schema.py in a file that only its owner can read.

    What `write` has returned from is on the disk (WAL with synchronous=FULL): a crash at any moment leaves each piece
    of work done or not begun. Several processes can use one file. Raises DiskFull where the disk or `max_bytes` is
    reached, StoreUnavailable for whatever else keeps it from being used. Without a path all is in memory, and gone with
    the process.
    """

    def __init__(self, path: Path | None, *, max_bytes: int = 8 << 30, busy_seconds: float = 10.0) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "limpide-store")

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work as one transaction; all of it or, if it raises, nothing. Durable on return."""
        return await self._call(work, "BEGIN IMMEDIATE")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on one consistent view of the data."""
        return await self._call(work, "BEGIN")

    async def close(self) -> None:
        """Finish what was asked for and close the file. Safe to call twice."""
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _call(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work, begin)

    def _transaction(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        with self._named_errors():
            if self._connection is None:
                self._connection = self._open()
            connection = self._connection
            try:
                connection.execute(begin)
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back after some errors
                    connection.execute("ROLLBACK")
                raise
            return result

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            self._make(self.path)
        connection = sqlite3.connect(
            self.path or ":memory:", timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {max(1, self._max_bytes // page_bytes)}")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives -wal and -shm the mode of the file that they belong to.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._unavailable(error.strerror or str(error), "check its directory and its rights") from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")  # of several processes that start together one takes the steps
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if owner != APPLICATION_ID and (owner or version or tables):
            raise self._unavailable("it belongs to another program", "choose another file")
        if version > len(MIGRATIONS):
            raise self._unavailable(
                f"its version is {version}, a newer Limpide wrote it", "use that Limpide, or move the file away"
            )
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.Error) -> LimpideError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of an extended code is the detail
        if code == sqlite3.SQLITE_FULL:
            return DiskFull(
                f"no room in {self.path}: the disk is full, or the database has reached {self._max_bytes / 1e6:.0f} MB",
                expected="room for what is to be stored; nothing of it was",
                hint="delete responses or files, or give the server a larger bound",
            )
        if code in _MEANING:
            return self._unavailable(*_MEANING[code])
        return self._unavailable(str(error), "see the message")

    def _unavailable(self, why: str, hint: str) -> StoreUnavailable:
        return StoreUnavailable(f"the database {self.path} can't be used: {why}", hint=hint)
