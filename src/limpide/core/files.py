"""Small files that are there whole or not at all, and the system's ways of saying that there is no room."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Numbers of errors that mean a full disk, quota or file. Windows knows no quota of its own."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file durably: either all of it is there afterwards, or the old one still is. Raises OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames inside it durable. Windows can't open directories and needs no such call."""
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
