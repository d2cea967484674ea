"""Stored batches: their lines, what became of each, and the files that these add up to."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpide.core.errors import BadRequest, NotFound
from limpide.server.store import files
from limpide.server.store.database import Database

Json = Mapping[str, Any]
_WAITING = ("validating", "in_progress")
_OPEN = (*_WAITING, "finalizing", "cancelling")


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch: where its line stands in the input file, counted from 1, and in bytes."""

    number: int
    custom_id: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch in the API's form, and whose it is."""

    client: str
    body: Json

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.body["id"])


class BatchStore:
    """The batches in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: StoredBatch, lines: Sequence[Line]) -> StoredBatch:
        """Keep a batch and all its lines. Raises NotFound if its input file is gone."""
        body, rows = batch.body, [(batch.id, n.number, n.custom_id, n.start, n.length) for n in lines]

        def work(db: sqlite3.Connection) -> StoredBatch:
            files.load(db, body["input_file_id"], batch.client)
            db.execute(
                "INSERT INTO batches (id, client, created, expires, status, input_file, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    batch.id,
                    batch.client,
                    body["created_at"],
                    body["expires_at"],
                    body["status"],
                    body["input_file_id"],
                    _text(body),
                ),
            )
            db.executemany(
                "INSERT INTO batch_lines (batch, line, custom_id, start, length) VALUES (?, ?, ?, ?, ?)", rows
            )
            return _load(db, batch.id, batch.client)

        return await self._database.write(work)

    async def get(self, batch_id: str, client: str) -> StoredBatch:
        """One batch, with its counts as of now. Raises NotFound."""
        return await self._database.read(lambda db: _load(db, batch_id, client))

    async def list(self, client: str, *, after: str | None = None, limit: int = 20) -> list[StoredBatch]:
        """A caller's batches, latest first, after one of them. Raises NotFound if that one is not there."""

        def work(db: sqlite3.Connection) -> list[StoredBatch]:
            start = 2**63 - 1
            if after is not None:
                _load(db, after, client)
                (start,) = db.execute("SELECT seq FROM batches WHERE id = ?", (after,)).fetchone()
            query = "SELECT id FROM batches WHERE client = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
            return [_load(db, row[0], client) for row in db.execute(query, (client, start, limit)).fetchall()]

        return await self._database.read(work)

    async def oldest_open(self) -> StoredBatch | None:
        """The batch to be worked on."""

        def work(db: sqlite3.Connection) -> StoredBatch | None:
            query = f"SELECT id, client FROM batches WHERE status IN ({_marks(_OPEN)}) ORDER BY seq LIMIT 1"
            row = db.execute(query, _OPEN).fetchone()
            return _load(db, *row) if row else None

        return await self._database.read(work)

    async def begin(self, batch_id: str) -> None:
        """Its first line is about to be worked on."""
        await self._database.write(lambda db: _walk(db, batch_id, ("validating",), "in_progress"))

    async def cancel(self, batch_id: str, client: str) -> StoredBatch:
        """No more lines shall be begun. Raises NotFound, and BadRequest if there is nothing left to cancel."""

        def work(db: sqlite3.Connection) -> StoredBatch:
            status = _load(db, batch_id, client).body["status"]
            if not _walk(db, batch_id, _WAITING, "cancelling") and status != "cancelling":
                raise BadRequest(f"batch {batch_id} is {status}", expected="a batch that is not done, to be cancelled")
            return _load(db, batch_id, client)

        return await self._database.write(work)

    async def next_line(self, batch_id: str, after: int) -> tuple[Line, bytes] | None:
        """The next line without a result, and its bytes; None if there is none or the batch shall not go on."""

        def work(db: sqlite3.Connection) -> tuple[Line, bytes] | None:
            row = db.execute(
                "SELECT line, custom_id, start, length, input_file FROM batch_lines JOIN batches ON batch = id"
                " WHERE batch = ? AND line > ? AND failed IS NULL AND status = 'in_progress' AND expires > ?"
                " ORDER BY line LIMIT 1",
                (batch_id, after, int(time.time())),
            ).fetchone()
            if row is None:
                return None
            line = Line(*row[:4])
            return line, files.read_range(db, row[4], line.start, line.length)

        return await self._database.read(work)

    async def goes_on(self, batch_id: str) -> bool:
        """Whether lines may still be worked on: it was not cancelled, and its time is not over."""
        query = "SELECT count(*) FROM batches WHERE id = ? AND status = 'in_progress' AND expires > ?"
        return await self._database.read(lambda db: bool(db.execute(query, (batch_id, int(time.time()))).fetchone()[0]))

    async def record(self, batch_id: str, line: int, result: bytes, *, failed: bool) -> None:
        """What became of a line: one line of the output (or error) file. The first result of a line stays."""
        await self._database.write(
            lambda db: db.execute(
                "UPDATE batch_lines SET failed = ?, result = ? WHERE batch = ? AND line = ? AND failed IS NULL",
                (int(failed), result, batch_id, line),
            )
        )

    async def finish(self, batch_id: str) -> str:
        """Put the results into files and end the batch: `completed`, `cancelled` or `expired`, which is returned.

        All in one transaction: a batch is either still open, with its lines, or done, with its files.
        """
        return await self._database.write(lambda db: _finish(db, batch_id))


def _load(db: sqlite3.Connection, batch_id: str, client: str) -> StoredBatch:
    row = db.execute("SELECT body FROM batches WHERE id = ? AND client = ?", (batch_id, client)).fetchone()
    if row is None:
        raise NotFound(f"there is no batch {batch_id[:100]!r}", expected="the id of a batch that is stored here")
    body = json.loads(row[0])
    if body["status"] in _OPEN:
        body["request_counts"] = _counts(db, batch_id)
    return StoredBatch(client, body)


def _counts(db: sqlite3.Connection, batch_id: str) -> dict[str, int]:
    total, done, failed = db.execute(
        "SELECT count(*), count(failed), coalesce(sum(failed), 0) FROM batch_lines WHERE batch = ?", (batch_id,)
    ).fetchone()
    return {"total": total, "completed": done - failed, "failed": failed}


def _walk(db: sqlite3.Connection, batch_id: str, before: Sequence[str], status: str, **changes: Any) -> bool:
    """Go on to another status, at a time that the batch tells; False if it is in none of those before."""
    row = db.execute(
        f"SELECT body FROM batches WHERE id = ? AND status IN ({_marks(before)})",
        (batch_id, *before),
    ).fetchone()
    if row is None:
        return False
    body = json.loads(row[0]) | {"status": status, f"{status}_at": int(time.time())} | changes
    db.execute("UPDATE batches SET status = ?, body = ? WHERE id = ?", (status, _text(body), batch_id))
    return True


def _finish(db: sqlite3.Connection, batch_id: str) -> str:
    client, status = db.execute("SELECT client, status FROM batches WHERE id = ?", (batch_id,)).fetchone()
    counts = _counts(db, batch_id)
    undone = counts["total"] - counts["completed"] - counts["failed"]
    end = "cancelled" if status == "cancelling" else "expired" if undone else "completed"
    if end == "expired":
        _expire_lines(db, batch_id)
        counts["failed"] += undone
    names: dict[str, str | None] = {"output_file_id": None, "error_file_id": None}
    for failed, (name, filename) in enumerate((("output_file_id", "output"), ("error_file_id", "error"))):
        if counts["failed" if failed else "completed"]:
            file = files.new_file(client, f"{batch_id}_{filename}.jsonl", "batch_output")
            files.insert(db, file, _results(db, batch_id, failed))
            names[name] = file.id
    _walk(db, batch_id, ("in_progress",), "finalizing")
    _walk(db, batch_id, ("finalizing", "cancelling"), end, request_counts=counts, **names)
    db.execute("DELETE FROM batch_lines WHERE batch = ?", (batch_id,))
    return end


def _expire_lines(db: sqlite3.Connection, batch_id: str) -> None:
    error = {"code": "batch_expired", "message": "the completion window ended before this request was begun"}
    rows = db.execute(
        "SELECT line, custom_id FROM batch_lines WHERE batch = ? AND failed IS NULL", (batch_id,)
    ).fetchall()
    for line, custom_id in rows:
        result = _text(result_line(f"{batch_id}-{line}", custom_id, error=error)).encode()
        db.execute(
            "UPDATE batch_lines SET failed = 1, result = ? WHERE batch = ? AND line = ?", (result, batch_id, line)
        )


def _results(db: sqlite3.Connection, batch_id: str, failed: int) -> Iterator[bytes]:
    query = "SELECT result FROM batch_lines WHERE batch = ? AND failed = ? ORDER BY line"
    for (result,) in db.execute(query, (batch_id, failed)):
        yield bytes(result) + b"\n"


def result_line(request_id: str, custom_id: str, *, response: Json | None = None, error: Json | None = None) -> Json:
    """One line of an output or error file in the API's form."""
    return {"id": request_id, "custom_id": custom_id, "response": response, "error": error}


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
