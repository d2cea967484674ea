from __future__ import annotations

import sqlite3
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import pytest

from limpide.core.errors import DiskFull, StoreUnavailable
from limpide.server.store import Database
from limpide.server.store.schema import MIGRATIONS


class Run(Protocol):
    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any: ...


def tables(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_only_its_owner_can_read_it(database: Database, path: Path, run: Run) -> None:
    run(database.write(lambda db: db.execute("DELETE FROM files")))
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert len(list(path.parent.iterdir())) == 3, "the database, its -wal and its -shm"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_acknowledged_is_synced(database: Database, run: Run) -> None:
    modes = [
        run(database.read(lambda db, p=p: db.execute(f"PRAGMA {p}").fetchone()[0]))
        for p in ("synchronous", "journal_mode")
    ]
    assert modes == [2, "wal"]


def test_a_transaction_is_done_whole_or_not_at_all(database: Database, run: Run) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO responses (id, client, created, status, body, input) VALUES ('a', '', 1, 's', '', '')")
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        run(database.write(half))
    assert run(database.read(lambda db: db.execute("SELECT count(*) FROM responses").fetchone())) == (0,)


def test_an_older_database_takes_the_missing_steps(path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Database(path)
    run(first.write(lambda db: db.execute("DELETE FROM files")))
    run(first.close())
    module = "limpide.server.store.database.MIGRATIONS"
    monkeypatch.setattr(module, (*MIGRATIONS, ("CREATE TABLE later (x)", "INSERT INTO later VALUES (7)")))
    second = Database(path)
    assert run(second.read(lambda db: db.execute("SELECT x FROM later").fetchall())) == [(7,)]
    run(second.close())
    third = Database(path)
    assert run(third.read(lambda db: db.execute("SELECT x FROM later").fetchall())) == [(7,)], "a step is taken once"
    run(third.close())


def test_a_step_that_fails_leaves_the_version_before(path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "limpide.server.store.database.MIGRATIONS"
    monkeypatch.setattr(module, (*MIGRATIONS, ("CREATE TABLE later (x)", "NO SUCH STATEMENT")))
    broken = Database(path)
    with pytest.raises(StoreUnavailable, match="syntax error"):
        run(broken.read(tables))
    run(broken.close())
    monkeypatch.setattr(module, MIGRATIONS)
    good = Database(path)
    assert run(good.read(tables)) == {"responses", "files", "file_parts", "batches", "batch_lines"}
    run(good.close())


def test_a_newer_database_is_refused(path: Path, run: Run) -> None:
    first = Database(path)
    run(first.write(lambda db: db.execute("PRAGMA user_version = 99")))
    run(first.close())
    second = Database(path)
    with pytest.raises(StoreUnavailable, match="its version is 99, a newer Limpide wrote it"):
        run(second.read(tables))
    run(second.close())


def test_somebody_elses_database_is_left_alone(path: Path, run: Run) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    other.close()
    database = Database(path)
    with pytest.raises(StoreUnavailable, match="belongs to another program"):
        run(database.read(tables))
    run(database.close())
    with sqlite3.connect(path) as other:
        assert tables(other) == {"bookmarks"}
    other.close()


@pytest.mark.parametrize("damage", ["text", "pages"])
def test_a_damaged_database_is_named(path: Path, run: Run, damage: str) -> None:
    first = Database(path)
    run(first.write(lambda db: db.execute("DELETE FROM files")))
    run(first.close())
    whole = path.read_bytes()
    path.write_bytes(
        b"not a database at all" * 1000 if damage == "text" else whole[:4096] + b"\xff" * len(whole[4096:])
    )
    second = Database(path)
    with pytest.raises(StoreUnavailable, match=r"damaged|no SQLite database") as caught:
        run(second.write(lambda db: db.execute("INSERT INTO files VALUES (1, 'a', '', 1, 1, '', '', 1)")))
    assert str(path) in caught.value.what
    run(second.close())


def test_a_database_that_others_hold_is_named_and_works_again(database: Database, path: Path, run: Run) -> None:
    run(database.write(lambda db: db.execute("DELETE FROM files")))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process has held it"):
        run(database.write(lambda db: db.execute("DELETE FROM files")))
    other.execute("ROLLBACK")
    other.close()
    run(database.write(lambda db: db.execute("DELETE FROM files")))


def test_a_full_database_is_named_and_keeps_what_it_has(path: Path, run: Run) -> None:
    database = Database(path, max_bytes=1 << 20)
    insert = "INSERT INTO responses (id, client, created, status, body, input) VALUES (?, '', 1, 's', ?, '')"
    run(database.write(lambda db: db.execute(insert, ("kept", "x" * 1000))))
    with pytest.raises(DiskFull, match="the database has reached 1 MB"):
        run(database.write(lambda db: db.execute(insert, ("large", "x" * (2 << 20)))))
    assert run(database.read(lambda db: db.execute("SELECT id FROM responses").fetchall())) == [("kept",)]
    run(database.write(lambda db: db.execute(insert, ("small", "x"))))
    run(database.close())


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").write_text("in the way")
    database = Database(tmp_path / "file" / "server.db")
    with pytest.raises(StoreUnavailable, match="can't be used"):
        run(database.read(tables))
    run(database.close())
