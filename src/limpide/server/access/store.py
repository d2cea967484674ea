"""The keys of this machine and what each has used, in one SQLite file for its owner's eyes alone."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from limpide.core.errors import BadRequest, InvalidParameter
from limpide.core.events import Usage
from limpide.server.access.key import Key, KeyRules

DAY = 86_400
_VERSION = 1
_SCHEMA = f"""
BEGIN;
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    created INTEGER NOT NULL,
    requests_per_minute INTEGER,
    tokens_per_day INTEGER,
    concurrent INTEGER,
    models TEXT,
    expires INTEGER
) STRICT;
CREATE TABLE used (
    id TEXT NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    prompt INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    thinking INTEGER NOT NULL,
    answer INTEGER NOT NULL,
    PRIMARY KEY (id, day)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What a key has used on one day (UTC)."""

    requests: int = 0
    prompt: int = 0
    """Prompt tokens, cached ones included."""
    cached: int = 0
    thinking: int = 0
    answer: int = 0

    @property
    def tokens(self) -> int:
        """What counts towards the day's budget."""
        return self.prompt + self.thinking + self.answer


class KeyStore:
    """Keys on disk. Several processes may read and write at once; each change is whole or not there.

    A change by another process, as `limpide keys revoke`, holds from the next request on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _prepare(path)
        # Two connections: a request that looks its key up never waits for one that writes down what it used.
        self._reader, self._writer = _connect(path), _connect(path)
        self._writing = threading.Lock()

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, key: Key) -> None:
        """Remember a key. Raises InvalidParameter if one of this name is there."""
        rules = key.rules
        models = None if rules.models is None else json.dumps(rules.models)
        row = (key.id, key.name, key.sha256, key.created)
        limits = (rules.requests_per_minute, rules.tokens_per_day, rules.concurrent, models, rules.expires)
        try:
            with self._write() as connection:
                connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *limits))
        except sqlite3.IntegrityError:
            raise InvalidParameter(
                "name", key.name, "a name that no key has", hint=f"limpide keys revoke {key.name}"
            ) from None

    def revoke(self, name: str) -> Key | None:
        """Forget the key of this name or id, and return it; None if there is none."""
        with self._write() as connection:
            rows = connection.execute("SELECT * FROM keys WHERE name = ? OR id = ?", (name, name)).fetchall()
            connection.executemany("DELETE FROM keys WHERE id = ?", [(row[0],) for row in rows])
        return _key(rows[0]) if rows else None

    def find(self, key_id: str) -> Key | None:
        """The key of this id."""
        row = self._reader.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
        return _key(row) if row else None

    def all(self) -> list[Key]:
        """All keys, the oldest first."""
        return [_key(row) for row in self._reader.execute("SELECT * FROM keys ORDER BY created, name")]

    def used(self, key_id: str, now: float | None = None) -> Used:
        """What a key has used today."""
        query = "SELECT requests, prompt, cached, thinking, answer FROM used WHERE id = ? AND day = ?"
        return Used(*(self._reader.execute(query, (key_id, _day(now))).fetchone() or ()))

    def charge(self, key_id: str, usage: Usage, now: float | None = None) -> None:
        """Add what one request took."""
        with self._write() as connection:
            connection.execute(
                "INSERT INTO used VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + 1,"
                " prompt = prompt + excluded.prompt, cached = cached + excluded.cached,"
                " thinking = thinking + excluded.thinking, answer = answer + excluded.answer",
                (
                    key_id,
                    _day(now),
                    usage.prompt_tokens,
                    usage.cached_tokens,
                    usage.thinking_tokens,
                    usage.answer_tokens,
                ),
            )

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._reader.close()
        with self._writing:
            self._writer.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")


def seconds_to_midnight(now: float) -> float:
    """How long until the day's budgets begin anew."""
    return DAY - now % DAY


def _day(now: float | None) -> int:
    return int((time.time() if now is None else now) // DAY)


def _key(row: tuple[object, ...]) -> Key:
    key_id, name, sha256, created, per_minute, per_day, concurrent, models, expires = row
    listed = None if models is None else tuple(str(model) for model in json.loads(str(models)))
    rules = KeyRules(_number(per_minute), _number(per_day), _number(concurrent), listed, _number(expires))
    return Key(str(key_id), str(name), str(sha256), _number(created) or 0, rules)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _connect(path: Path) -> sqlite3.Connection:
    # The writer is used from threads, one at a time; transactions are begun and ended here and nowhere else.
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    # A key that was shown must be there after a power cut, and one that was revoked must not.
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _prepare(path: Path) -> None:
    """See to it that the file is there, whole, and its owner's alone (SQLite's files beside it inherit that)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _create(path)
    path.chmod(0o600)
    try:
        with closing(_connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, str(error)) from None
    if version != _VERSION:
        raise _unreadable(path, f"its format is {version}, not {_VERSION}")


def _create(path: Path) -> None:
    """Made beside its place and put there whole: of two processes that begin at once, one finds it made."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # its owner's alone
    os.close(handle)
    part = Path(name)
    try:
        with closing(_connect(part)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer don't wait for each other
            connection.executescript(_SCHEMA)
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()


def _unreadable(path: Path, why: str) -> BadRequest:
    return BadRequest(
        f"the keys in {path} can't be read: {why}",
        expected="a file that `limpide keys create` made",
        hint="move the file away and make new keys",
    )
