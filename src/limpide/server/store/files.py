"""Stored files: uploads, and what batches write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

from limpide.core.errors import BadRequest, NotFound
from limpide.server.store.database import Database

PART_BYTES = 1 << 20
_OPEN = "status IN ('validating', 'in_progress', 'finalizing', 'cancelling')"
_COLUMNS = "id, client, created, expires, filename, purpose, bytes"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file beside its content. Times are seconds since 1970."""

    id: str
    client: str
    created: int
    expires: int | None
    filename: str
    purpose: str
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The file in the API's form."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created,
            "expires_at": self.expires,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


def new_file(client: str, filename: str, purpose: str, *, expires: int | None = None) -> StoredFile:
    """A file that is about to be written; its size is set by `insert`."""
    return StoredFile(f"file-{uuid4().hex[:24]}", client, int(time.time()), expires, filename, purpose, 0)


def insert(db: sqlite3.Connection, file: StoredFile, chunks: Iterable[bytes]) -> int:
    """Write a file inside a transaction that is under way. Returns its size in bytes."""
    row = (file.id, file.client, file.created, file.expires, file.filename, file.purpose, 0)
    db.execute(f"INSERT INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    size = 0
    for part, data in enumerate(_parts(chunks)):
        db.execute("INSERT INTO file_parts (file, part, data) VALUES (?, ?, ?)", (file.id, part, data))
        size += len(data)
    db.execute("UPDATE files SET bytes = ? WHERE id = ?", (size, file.id))
    return size


def content(db: sqlite3.Connection, file_id: str) -> Iterator[bytes]:
    """A file's parts, in order, inside a transaction that is under way."""
    for (data,) in db.execute("SELECT data FROM file_parts WHERE file = ? ORDER BY part", (file_id,)):
        yield data


def read_range(db: sqlite3.Connection, file_id: str, start: int, length: int) -> bytes:
    """Some of a file's bytes, without reading the rest of it."""
    first, last = start // PART_BYTES, max(start, start + length - 1) // PART_BYTES
    data = b"".join(_part(db, file_id, part) for part in range(first, last + 1))
    return data[start - first * PART_BYTES :][:length]


def load(db: sqlite3.Connection, file_id: str, client: str) -> StoredFile:
    """What is known of a file. Raises NotFound."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM files WHERE id = ? AND client = ? AND (expires IS NULL OR expires > ?)",
        (file_id, client, int(time.time())),
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no file {file_id[:100]!r}", expected="the id of a file that is stored here")
    return StoredFile(*row)


class FileStore:
    """The files in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, file: StoredFile, read: Callable[[int], bytes]) -> StoredFile:
        """Store a file whole, from a function that reads at most so many bytes and returns none at the end."""

        def work(db: sqlite3.Connection) -> StoredFile:
            return replace(file, bytes=insert(db, file, iter(lambda: read(PART_BYTES), b"")))

        return await self._database.write(work)

    async def get(self, file_id: str, client: str) -> StoredFile:
        """What is known of a file. Raises NotFound."""
        return await self._database.read(lambda db: load(db, file_id, client))

    async def content(self, file_id: str) -> AsyncIterator[bytes]:
        """A file's content, piece by piece; it ends early, with NotFound, if the file is deleted meanwhile."""
        size, done, part = await self._database.read(lambda db: _size(db, file_id)), 0, 0
        while done < size:
            data = await self._database.read(lambda db, part=part: _part(db, file_id, part))  # type: ignore[misc]
            yield data
            done += len(data)
            part += 1

    async def delete(self, file_id: str, client: str) -> None:
        """Forget a file. Raises NotFound, and BadRequest while a batch reads it."""

        def work(db: sqlite3.Connection) -> None:
            load(db, file_id, client)
            if row := db.execute(f"SELECT id FROM batches WHERE input_file = ? AND {_OPEN}", (file_id,)).fetchone():
                raise BadRequest(f"the file {file_id} is the input of {row[0]}, which is not done", hint="cancel it")
            db.execute("DELETE FROM files WHERE id = ?", (file_id,))

        await self._database.write(work)

    async def list(
        self,
        client: str,
        *,
        purpose: str | None = None,
        after: str | None = None,
        limit: int = 100,
        order: Literal["asc", "desc"] = "desc",
    ) -> list[StoredFile]:
        """A caller's files by age, after one of them. Raises NotFound if that one is gone."""
        way, sign = ("ASC", ">") if order == "asc" else ("DESC", "<")

        def work(db: sqlite3.Connection) -> list[StoredFile]:
            values: list[object] = [client, int(time.time())]
            where = "client = ? AND (expires IS NULL OR expires > ?)"
            if purpose is not None:
                where, values = f"{where} AND purpose = ?", [*values, purpose]
            if after is not None:
                load(db, after, client)
                where, values = f"{where} AND seq {sign} (SELECT seq FROM files WHERE id = ?)", [*values, after]
            query = f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY seq {way} LIMIT ?"
            return [StoredFile(*row) for row in db.execute(query, (*values, limit))]

        return await self._database.read(work)

    async def drop_expired(self) -> int:
        """Forget what its owner wanted to be forgotten by now, unless a batch still reads it. Returns how many."""
        now = int(time.time())
        unread = f"id NOT IN (SELECT input_file FROM batches WHERE {_OPEN})"
        return await self._database.write(
            lambda db: db.execute(f"DELETE FROM files WHERE expires <= ? AND {unread}", (now,)).rowcount
        )


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of PART_BYTES."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    if waiting:
        yield bytes(waiting)


def _size(db: sqlite3.Connection, file_id: str) -> int:
    row = db.execute("SELECT bytes FROM files WHERE id = ?", (file_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no file {file_id[:100]!r}")
    return int(row[0])


def _part(db: sqlite3.Connection, file_id: str, part: int) -> bytes:
    row = db.execute("SELECT data FROM file_parts WHERE file = ? AND part = ?", (file_id, part)).fetchone()
    if row is None:
        raise NotFound(f"the file {file_id} was deleted while it was read")
    return bytes(row[0])
