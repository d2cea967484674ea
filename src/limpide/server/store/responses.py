"""Stored responses: what was asked, what came of it, and the conversation that it continues."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from limpide.core.errors import BadRequest, NotFound
from limpide.server.store.database import Database
from limpide.server.store.lease import Lease

MAX_TURNS = 1000
"""Responses in one conversation."""
_CONTINUABLE = ("completed", "incomplete")
_STOPPED = {"code": "server_error", "message": "the server stopped while this response was being written"}

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response in the API's form, the items that were its input, and its stream's events if these are kept."""

    id: str
    client: str
    body: Json
    input: Sequence[Json]
    events: Sequence[Json] | None = None


class ResponseStore:
    """The responses in a database. A response in the making belongs to the process that makes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._runner = uuid4().hex
        self._lease = self._lease_of(self._runner)

    async def add(self, stored: StoredResponse) -> None:
        """Keep a response that begins; it counts as stopped once this process is no more."""
        self._lease.take()  # before the row exists: who sees a row with a free lease knows that its maker died
        row = (
            stored.id,
            stored.client,
            int(stored.body["created_at"]),
            stored.body["status"],
            self._runner,
            _text(stored.body),
            _text(stored.input),
        )
        await self._database.write(
            lambda db: db.execute(
                "INSERT INTO responses (id, client, created, status, runner, body, input) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        )

    async def update(self, body: Json, *, ended: bool, events: Sequence[Json] | None = None) -> bool:
        """Put a later state of a response in place of the earlier one. False if it was deleted meanwhile."""
        packed = None if events is None else zlib.compress(_text(events).encode(), 6)
        row = (body["status"], None if ended else self._runner, _text(body), packed, body["id"])
        changed = await self._database.write(
            lambda db: (
                db.execute(
                    "UPDATE responses SET status = ?, runner = ?, body = ?, events = ? WHERE id = ?", row
                ).rowcount
            )
        )
        return changed == 1

    async def get(self, response_id: str, client: str) -> StoredResponse:
        """One response. Raises NotFound."""
        return await self._database.read(lambda db: _load(db, response_id, client))

    async def delete(self, response_id: str, client: str) -> None:
        """Forget a response, whatever its state. Raises NotFound."""

        def work(db: sqlite3.Connection) -> None:
            if not db.execute("DELETE FROM responses WHERE id = ? AND client = ?", (response_id, client)).rowcount:
                raise _unknown(response_id)

        await self._database.write(work)

    async def conversation(self, response_id: str, client: str) -> list[Json]:
        """All items up to and with a response's output, oldest first.

        Raises NotFound if any response of the chain is gone (a conversation with a hole would be cut in silence), and
        BadRequest if one has no answer to go on from.
        """
        return await self._database.read(lambda db: _conversation(db, response_id, client))

    async def mark_stopped(self) -> int:
        """Mark what processes that are no more left unfinished as failed. Returns how many there were."""
        runners = await self._database.read(
            lambda db: [
                row[0]
                for row in db.execute("SELECT DISTINCT runner FROM responses WHERE runner IS NOT NULL").fetchall()
            ]
        )
        marked = 0
        for runner in runners:
            lease = self._lease_of(runner)
            if runner != self._runner and lease.take():
                try:
                    marked += await self._database.write(lambda db, runner=runner: _fail_all(db, runner))  # type: ignore[misc]
                finally:
                    lease.give(forget=True)
        return marked

    async def drop_older(self, created: int) -> int:
        """Forget what ended and was made before a moment, in seconds since 1970. Returns how many."""
        return await self._database.write(
            lambda db: db.execute("DELETE FROM responses WHERE created < ? AND runner IS NULL", (created,)).rowcount
        )

    def close(self) -> None:
        """Give up what is unfinished: another process may mark it as stopped from now on."""
        self._lease.give(forget=True)

    def _lease_of(self, runner: str) -> Lease:
        path = self._database.path
        return Lease(path and path.with_name(f"{path.name}-runners") / f"{runner}.lock")


def _load(db: sqlite3.Connection, response_id: str, client: str) -> StoredResponse:
    row = db.execute(
        "SELECT body, input, events FROM responses WHERE id = ? AND client = ?", (response_id, client)
    ).fetchone()
    if row is None:
        raise _unknown(response_id)
    body, items, events = row
    unpacked = None if events is None else json.loads(zlib.decompress(events))
    return StoredResponse(response_id, client, json.loads(body), json.loads(items), unpacked)


def _conversation(db: sqlite3.Connection, response_id: str, client: str) -> list[Json]:
    turns: list[StoredResponse] = []
    following: str | None = response_id
    while following is not None:
        if len(turns) == MAX_TURNS:
            raise BadRequest(
                f"the conversation of {response_id} is too long", expected=f"at most {MAX_TURNS} responses"
            )
        turn = _load(db, following, client)
        if turn.body["status"] not in _CONTINUABLE:
            raise BadRequest(
                f"response {following} is {turn.body['status']}: there is no answer to go on from",
                expected=f"a response that is {' or '.join(_CONTINUABLE)}",
            )
        turns.append(turn)
        following = turn.body.get("previous_response_id")
    return [item for turn in reversed(turns) for item in (*turn.input, *turn.body["output"])]


def _fail_all(db: sqlite3.Connection, runner: str) -> int:
    rows = db.execute("SELECT id, body FROM responses WHERE runner = ?", (runner,)).fetchall()
    for response_id, text in rows:
        body = json.loads(text) | {"status": "failed", "error": _STOPPED}
        db.execute(
            "UPDATE responses SET status = 'failed', runner = NULL, body = ? WHERE id = ?", (_text(body), response_id)
        )
    return len(rows)


def _unknown(response_id: str) -> NotFound:
    return NotFound(f"there is no response {response_id[:100]!r}", expected="the id of a response that is stored here")


def _text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
