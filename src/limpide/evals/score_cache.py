"""Scores that were computed before, kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from limpide.core.errors import InvalidParameter
from limpide.core.ports import Scored, ScoreRequest, Scores
from limpide.core.scoring import ScoringWork

MAX_BYTES = 512 << 20
_BATCH = 256
"""Scores of one transaction: what a crash can lose."""
_CHECKSUM_BYTES = 8
_MAX_VALUE_BYTES = 1 << 24
_log = logging.getLogger(__name__)


class ScoreCache:
    """A file of scores under hashes of what they are scores of.

    Several processes can use one file. It never stands in the way: an entry that fails its checksum is as good as none,
    a file that SQLite can't read is begun anew, and where the disk is full or the file is locked, scores are computed
    and not kept; all of that is logged. When the file has `max_bytes`, the oldest entries make room.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        if max_bytes < 1 << 16:
            raise InvalidParameter("max_bytes", max_bytes, "at least 65536")
        self._path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Scored]:
        """What is known of these keys."""
        found: dict[bytes, Scored] = {}
        for start in range(0, len(keys), _BATCH):
            some = keys[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, value FROM scores WHERE key IN ({marks})"  # noqa: S608 - only question marks
            for key, value in self._attempt(lambda connection: connection.execute(query, some).fetchall()) or ():  # noqa: B023
                scored = _decode(key, value)
                if scored is None:
                    _log.warning("an entry of %s is damaged, and is computed again", self._path)
                else:
                    found[key] = scored
        return found

    def put(self, scores: Mapping[bytes, Scored]) -> None:
        """Keep scores by their keys, in one transaction."""
        rows = [(key, _encode(key, scored)) for key, scored in scores.items()]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO scores (key, value) VALUES (?, ?)", rows)
                self._make_room(connection)

        if rows:
            self._attempt(write)

    def close(self) -> None:
        """Close the file. Safe to call twice, and it opens again when it is used."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """What `work` returns; None, and a warning, if the file can't be used."""
        for again in (True, False):
            try:
                if self._connection is None:
                    self._connection = self._open()
                return work(self._connection)
            except (sqlite3.Error, OSError) as error:
                _log.warning("scores can't be kept in %s: %s", self._path, error)
                with suppress(sqlite3.Error):
                    self.close()
                if not (again and _damaged(error)):
                    return None
                self._set_aside()
        return None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS scores (number INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB NOT NULL)"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Forget the oldest tenth until what is left fits. Pages that become free are used again."""
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        while True:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (count,) = connection.execute("SELECT count(*) FROM scores").fetchone()
            if (pages - free) * size <= self._max_bytes or count == 0:
                return
            oldest = "SELECT number FROM scores ORDER BY number LIMIT ?"
            connection.execute(f"DELETE FROM scores WHERE number IN ({oldest})", (math.ceil(count / 10),))  # noqa: S608

    def _set_aside(self) -> None:
        with suppress(OSError):
            self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        with suppress(OSError):
            self._path.with_name(self._path.name + "-journal").unlink()


class CachedScores:
    """Scores of a run, of which those that are known aren't computed. Iterate, once, as over any `Scores`.

    identity: what the scores depend on beside the texts: hashes of weights, tokenizer and template, numerics, and the
    engine's version. If one of them is None, nothing is known for sure, and nothing is looked up or kept.
    """

    def __init__(
        self,
        score_all: Callable[[Sequence[ScoreRequest]], Scores],
        requests: Sequence[ScoreRequest],
        *,
        cache: ScoreCache,
        identity: Mapping[str, str | None],
    ) -> None:
        self._cache = cache
        known = all(identity.get(name) is not None for name in ("weights_sha256", "tokenizer_sha256", "numerics"))
        self._keys = key_of(identity, requests) if known else []
        found = cache.get(list(dict.fromkeys(self._keys)))
        self._found = {index: found[key] for index, key in enumerate(self._keys) if key in found}
        self._missing = [index for index in range(len(requests)) if index not in self._found]
        self._scores = score_all([requests[index] for index in self._missing])

    @property
    def hits(self) -> int:
        """Requests whose score was known."""
        return len(self._found)

    @property
    def work(self) -> ScoringWork:
        """What the others take."""
        return self._scores.work

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        yield from self._found.items()
        fresh: dict[bytes, Scored] = {}
        try:
            for number, scored in self._scores:
                index = self._missing[number]
                if self._keys:
                    fresh[self._keys[index]] = scored
                if len(fresh) == _BATCH:
                    self._cache.put(fresh)
                    fresh = {}
                # Nobody waits for a transaction to see a score: a run has it on record at once.
                yield index, scored
        finally:
            self._cache.put(fresh)


def key_of(identity: Mapping[str, str | None], requests: Sequence[ScoreRequest]) -> list[bytes]:
    """SHA-256 of what each request's score depends on."""
    start = hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode())
    keys = []
    for request in requests:
        key = start.copy()
        for text in (request.context, request.continuation):
            data = text.encode("utf-8", "surrogatepass")
            key.update(struct.pack("<Q", len(data)) + data)
        keys.append(key.digest())
    return keys


def _encode(key: bytes, scored: Scored) -> bytes:
    data = struct.pack(f"<?{len(scored.logprobs)}d", scored.greedy, *scored.logprobs)
    return data + _checksum(key, data)


def _decode(key: object, value: object) -> Scored | None:
    """The score; None if it is not what was written."""
    if not isinstance(key, bytes) or not isinstance(value, bytes) or len(value) > _MAX_VALUE_BYTES:
        return None
    data, checksum = value[:-_CHECKSUM_BYTES], value[-_CHECKSUM_BYTES:]
    if not data or len(data) % 8 != 1 or checksum != _checksum(key, data):
        return None
    greedy, *logprobs = struct.unpack(f"<?{len(data) // 8}d", data)
    return Scored(tuple(logprobs), greedy)


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(key + data, digest_size=_CHECKSUM_BYTES).digest()


def _damaged(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
