from __future__ import annotations

import io
import time
from collections.abc import Coroutine
from typing import Any, Protocol

import pytest

from limpide.core.errors import NotFound
from limpide.server.store import Database, FileStore, StoredFile
from limpide.server.store.files import PART_BYTES, new_file, read_range


class Run(Protocol):
    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any: ...


@pytest.fixture
def store(database: Database) -> FileStore:
    return FileStore(database)


def add(run: Run, store: FileStore, data: bytes, name: str = "a.jsonl", **more: Any) -> StoredFile:
    file: StoredFile = run(
        store.add(new_file("somebody", name, more.pop("purpose", "batch"), **more), io.BytesIO(data).read)
    )
    return file


async def whole(store: FileStore, file_id: str) -> bytes:
    return b"".join([part async for part in store.content(file_id)])


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 17])
def test_a_file_comes_back_byte_for_byte(store: FileStore, run: Run, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    file = add(run, store, data)
    assert file.bytes == size
    assert run(whole(store, file.id)) == data
    assert run(store.get(file.id, "somebody")) == file


def test_pieces_of_any_size_become_parts_of_one_size(database: Database, store: FileStore, run: Run) -> None:
    data = bytes(i % 249 for i in range(2 * PART_BYTES + 5))
    stream = io.BytesIO(data)
    file = run(store.add(new_file("somebody", "a", "batch"), lambda _: stream.read(100_003)))
    assert run(whole(store, file.id)) == data
    for start, length in (
        (0, 3),
        (PART_BYTES - 2, 5),
        (PART_BYTES, 1),
        (5, 2 * PART_BYTES),
        (len(data) - 1, 1),
        (7, 0),
    ):
        assert (
            run(database.read(lambda db, s=start, n=length: read_range(db, file.id, s, n)))
            == data[start : start + length]
        )


def test_nobody_else_sees_it(store: FileStore, run: Run) -> None:
    file = add(run, store, b"secret")
    for ask in (store.get, store.delete):
        with pytest.raises(NotFound, match=f"there is no file '{file.id}'"):
            run(ask(file.id, "another"))
    assert run(store.list("another")) == []


def test_an_upload_that_breaks_off_leaves_nothing(database: Database, store: FileStore, run: Run) -> None:
    stream = io.BytesIO(b"x" * 3 * PART_BYTES)

    def read(size: int) -> bytes:
        if stream.tell() >= 2 * PART_BYTES:
            raise ConnectionResetError("gone")
        return stream.read(size)

    with pytest.raises(ConnectionResetError, match="gone"):
        run(store.add(new_file("somebody", "a", "batch"), read))
    count = "SELECT (SELECT count(*) FROM files) + (SELECT count(*) FROM file_parts)"
    assert run(database.read(lambda db: db.execute(count).fetchone())) == (0,)


def test_deleting_takes_the_content_too(database: Database, store: FileStore, run: Run) -> None:
    file = add(run, store, b"x" * (PART_BYTES + 1))
    run(store.delete(file.id, "somebody"))
    assert run(database.read(lambda db: db.execute("SELECT count(*) FROM file_parts").fetchone())) == (0,)


def test_a_list_goes_on_where_it_ended(store: FileStore, run: Run) -> None:
    ids = [add(run, store, b"x", purpose="batch" if i % 2 else "user_data").id for i in range(5)]
    assert [file.id for file in run(store.list("somebody"))] == ids[::-1]
    assert [file.id for file in run(store.list("somebody", order="asc", limit=2))] == ids[:2]
    assert [file.id for file in run(store.list("somebody", order="asc", after=ids[1], limit=2))] == ids[2:4]
    assert [file.id for file in run(store.list("somebody", after=ids[2]))] == ids[1::-1]
    assert [file.id for file in run(store.list("somebody", purpose="batch"))] == [ids[3], ids[1]]
    with pytest.raises(NotFound):
        run(store.list("somebody", after="file-unknown"))


def test_what_has_expired_is_gone(database: Database, store: FileStore, run: Run) -> None:
    now = int(time.time())
    gone, kept = add(run, store, b"x", expires=now), add(run, store, b"x", expires=now + 1000)
    with pytest.raises(NotFound):
        run(store.get(gone.id, "somebody"))
    assert [file.id for file in run(store.list("somebody"))] == [kept.id]
    assert run(store.drop_expired()) == 1
    assert run(database.read(lambda db: db.execute("SELECT count(*) FROM file_parts").fetchone())) == (1,)
