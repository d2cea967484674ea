"""The folder of a run: `manifest.json`, written once, and `items.jsonl`, which only ever grows.

A process that is killed loses what it was writing, and nothing that was written: a last line without its end is cut off
and its item asked again. One process at a time writes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from limpide.core.errors import CorruptRun, DiskFull, InvalidParameter, NotFound, RunInUse, RunMismatch
from limpide.core.evidence import ItemRecord, RunManifest
from limpide.core.files import NO_ROOM, write_whole
from limpide.core.results import to_json

MANIFEST = "manifest.json"
ITEMS = "items.jsonl"
LOCK = ".lock"
MAX_MANIFEST_BYTES = 1 << 20
MAX_LINE_BYTES = 16 << 20
SYNC_SECONDS = 1.0
"""At most so much work is lost when the machine, and not only the process, goes down."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run asked and what came of it: the newest record of each item and repeat, in the order of their making."""

    manifest: RunManifest
    records: tuple[ItemRecord, ...]

    @property
    def complete(self) -> bool:
        """Whether everything was answered."""
        return sum(record.error is None for record in self.records) == self.manifest.items * self.manifest.repeats

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a run, also one that is still being written. Raises NotFound, CorruptRun."""
        return cls(read_manifest(folder), newest(record for record, _ in read_records(folder)))


def find_runs(folder: Path) -> list[Path]:
    """The run folders in a folder, or the folder itself if it is one. Raises NotFound if there are none."""
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not found:
        raise NotFound(f"there is no run in {folder}", expected=f"a folder with a {MANIFEST}, or folders that have one")
    return found


def newest(records: Iterator[ItemRecord]) -> tuple[ItemRecord, ...]:
    """The last record of each item and repeat: an error that was tried again is followed by what came then."""
    return tuple({record.key: record for record in records}.values())


def read_manifest(folder: Path) -> RunManifest:
    """Raises NotFound, CorruptRun."""
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no run in {folder}", expected=f"a folder with a {MANIFEST}") from None
    if len(data) > MAX_MANIFEST_BYTES:
        raise CorruptRun(f"{path} is too large to be a manifest", expected=f"at most {MAX_MANIFEST_BYTES} bytes")
    try:
        return RunManifest.from_dict(_json(data))
    except (ValueError, InvalidParameter) as error:
        raise CorruptRun(f"{path} is no manifest: {error}", expected=RunManifest.SCHEMA) from error


def read_records(folder: Path) -> Iterator[tuple[ItemRecord, int]]:
    """Every whole record, and where its line ends in the file. A last line without an end is passed over."""
    path = folder / ITEMS
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if not line.endswith(b"\n"):
                if len(line) > MAX_LINE_BYTES:
                    raise CorruptRun(f"{path}, line {number} is too long", expected=f"at most {MAX_LINE_BYTES} bytes")
                return
            end += len(line)
            try:
                record = ItemRecord.from_dict(_json(line))
            except (ValueError, InvalidParameter) as error:
                raise CorruptRun(
                    f"{path}, line {number} is no record: {error}",
                    expected=ItemRecord.SCHEMA,
                    hint="remove the line and --resume: its item is asked again",
                ) from error
            yield record, end


class RunFolder:
    """A run that is being written. Use it as a context manager: it holds the folder's lock.

    `records`: what the folder has already. Raises RunInUse, InvalidParameter if there is a run and `resume` was not
    said, RunMismatch if that run is another one, CorruptRun, DiskFull.
    """

    def __init__(self, path: Path, manifest: RunManifest, *, resume: bool) -> None:
        self.path = path
        self.manifest = manifest
        self.records: Sequence[ItemRecord] = ()
        self._resume = resume
        self._lock = FileLock(path / LOCK, timeout=0)
        self._items = -1
        self._end = 0
        self._synced = 0.0

    def __enter__(self) -> Self:
        with _full_disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise RunInUse(
                    f"another process writes to {self.path}",
                    expected="one process at a time",
                    hint="wait for it, or take another folder",
                ) from None
            try:
                self._open()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            os.fsync(self._items)
            os.close(self._items)
        finally:
            self._lock.release()

    def append(self, record: ItemRecord) -> None:
        """Write one record. Raises DiskFull; what could be written of it is taken back."""
        line = to_json(record.as_dict()).encode() + b"\n"
        with _full_disk(self.path):
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._items, line[written:])
            except BaseException:
                os.ftruncate(self._items, self._end)
                raise
            self._end += len(line)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._items)
                self._synced = time.monotonic()

    def _open(self) -> None:
        if (self.path / MANIFEST).exists():
            self._go_on()
        else:
            write_whole(self.path / MANIFEST, f"{to_json(self.manifest.as_dict())}\n".encode())
        self._items = os.open(self.path / ITEMS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._items, self._end)

    def _go_on(self) -> None:
        if not self._resume:
            raise InvalidParameter("output", str(self.path), "a folder without a run", hint="--resume goes on with it")
        there = read_manifest(self.path)
        if differences := list(there.differences(self.manifest)):
            told = "; ".join(f"{name} was {was!r} and is {now!r}" for name, was, now in differences)
            raise RunMismatch(
                f"the run in {self.path} is another one: {told}",
                expected="what the run was begun with",
                hint="take another folder for what is different now",
            )
        self.manifest = there
        records = []
        for record, end in read_records(self.path):
            records.append(record)
            self._end = end
        self.records = newest(iter(records))


def _json(data: bytes) -> Any:
    """JSON as it is written here: the numbers that JSON lacks are refused, and so is what is nested without end."""
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


@contextmanager
def _full_disk(path: Path) -> Iterator[None]:
    """Turns the system's word for a full disk, or quota, into DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DiskFull(
            f"there is no room for more records in {path}: {error.strerror}",
            expected="some free space",
            hint="make room, then go on with --resume: what was written is whole",
        ) from error
