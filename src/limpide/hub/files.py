"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from limpide.core import files
from limpide.core.errors import DiskFull

CHUNK = 1 << 20


@contextlib.contextmanager
def room_on(directory: Path) -> Iterator[None]:
    """Turn the system's ways of saying that there is no room into DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in files.NO_ROOM:
            raise
        raise disk_full(directory, None) from error


def disk_full(directory: Path, needed: int | None) -> DiskFull:
    """The error for a directory that can't take `needed` more bytes (None: it failed while writing)."""
    free = f"{free_bytes(directory) / 1e6:.0f} MB are free"
    need = f"{needed / 1e6:.0f} MB are needed, {free}" if needed is not None else f"writing failed, {free}"
    return DiskFull(
        f"no room in {directory}: {need}",
        expected="enough free space for the download and the model; nothing was left behind",
        hint="free some space, or set LIMPIDE_CACHE to a directory on a larger disk",
    )


def free_bytes(directory: Path) -> int:
    """Free bytes where `directory` is, or will be."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return shutil.disk_usage(directory).free


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file as `core.files` does, into a directory that is made if need be. Raises DiskFull."""
    with room_on(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, data)


def write_stream(path: Path, chunks: Iterable[bytes]) -> str:
    """Write chunks durably to `path` (an old file is replaced) and return their sha256 in hexadecimal."""
    digest = hashlib.sha256()
    with room_on(path.parent), path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """sha256 of a file in hexadecimal; about a second per GB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(directory: Path) -> None:
    """Remove a directory and all in it; what can't be removed (open on Windows) stays for the next time."""
    shutil.rmtree(directory, ignore_errors=True)
