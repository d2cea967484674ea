"""A process that writes is killed at a random moment, again and again: nothing acknowledged is lost or half."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limpide.server.store import Database, FileStore, ResponseStore

WRITE = """
import asyncio, io, sys
from pathlib import Path
from limpide.server.store import Database, FileStore, ResponseStore, StoredResponse
from limpide.server.store.files import PART_BYTES, new_file

async def main():
    database = Database(Path(sys.argv[1]))
    responses, files = ResponseStore(database), FileStore(database)
    number = int(sys.argv[2])
    while True:
        number += 1
        body = {"id": f"resp_{number}", "created_at": 1, "status": "in_progress", "output": []}
        await responses.add(StoredResponse(body["id"], "", body, []))
        print("begun", number, flush=True)
        await responses.update({**body, "status": "completed", "output": [number] * 5000}, ended=True)
        print("ended", number, flush=True)
        data = io.BytesIO(bytes([number % 251]) * (2 * PART_BYTES + number))
        file = await files.add(new_file("", str(number), "batch"), data.read)
        print("file", number, file.id, flush=True)

asyncio.run(main())
"""


def killed_writer(path: Path, first: int, lines: int) -> list[list[str]]:
    """What a writer acknowledged until it was killed, some lines after it began."""
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(path), str(first)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    said = [writer.stdout.readline() for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)  # wherever it is by now
    said += writer.stdout.readlines()
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    return [line.split() for line in said if line.endswith("\n")]


async def look(path: Path, acknowledged: list[list[str]]) -> None:
    database = Database(path)
    responses, files = ResponseStore(database), FileStore(database)
    await responses.mark_stopped()
    ended = {int(line[1]) for line in acknowledged if line[0] == "ended"}
    for kind, number, *more in acknowledged:
        if kind == "file":
            data = b"".join([part async for part in files.content(more[0])])
            assert data == bytes([int(number) % 251]) * ((2 << 20) + int(number))
            continue
        body: Any = (await responses.get(f"resp_{number}", "")).body
        if int(number) in ended or body["status"] == "completed":
            assert (body["status"], body["output"]) == ("completed", [int(number)] * 5000)
        else:
            assert (body["status"], body["output"]) == ("failed", [])
    open_rows = "SELECT count(*) FROM responses WHERE runner IS NOT NULL OR status = 'in_progress'"
    assert await database.read(lambda db: db.execute(open_rows).fetchone()) == (0,)
    written = "(SELECT coalesce(sum(length(data)), 0) FROM file_parts WHERE file = id)"
    halves = f"SELECT count(*) FROM files WHERE bytes != {written}"
    assert await database.read(lambda db: db.execute(halves).fetchone()) == (0,)
    assert await database.read(lambda db: db.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    await database.close()


@pytest.mark.parametrize("seed", range(4))
def test_kill_while_writing(tmp_path: Path, seed: int) -> None:
    path, random_ = tmp_path / "server.db", random.Random(seed)
    acknowledged: list[list[str]] = []
    for round_ in range(2):
        said = killed_writer(path, 1000 * round_, random_.randrange(1, 20))
        assert said
        acknowledged += said
        asyncio.run(look(path, acknowledged))
