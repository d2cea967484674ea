"""A file of weights, memory-mapped."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import platform
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limpide.core.errors import CorruptModelFile, ModelFileMissing

DAMAGED_HINT = "fetch the file again: it is damaged, incomplete, or not what its name says"

# Python 3.11 and 3.12 don't name the flag; this is its value on Linux on these processors
_NORESERVE: int = getattr(
    mmap,
    "MAP_NORESERVE",
    0x4000 if sys.platform == "linux" and platform.machine() in {"x86_64", "aarch64", "riscv64"} else 0,
)


class MappedFile:
    """One file, mapped copy-on-write: nothing is read before it is touched, and nothing is ever written back.

    A file that another program shortens while it is mapped ends this process with SIGBUS, as with every memory map:
    replace weights by renaming, never by writing in place.
    """

    def __init__(self, path: Path) -> None:
        """Map the whole file. Raises ModelFileMissing if it can't be opened, CorruptModelFile if it is empty."""
        self.path = path
        self._absolute = path.absolute()  # the hash may be asked for after a change of directory
        self._map: mmap.mmap | None
        self.size, self._map = _map_file(path)
        self._sha256: str | None = None

    @property
    def data(self) -> mmap.mmap:
        """The mapped bytes; indexing is bounded by Python, not by what a header says."""
        if self._map is None:
            raise ValueError(f"{self.path} is closed")
        return self._map

    def view(self, start: int, nbytes: int) -> npt.NDArray[np.uint8]:
        """Bytes `start` to `start + nbytes`, uint8 [nbytes], not copied. The caller has checked the bounds."""
        if nbytes == 0:  # frombuffer refuses an offset at the very end of the file
            return np.empty(0, dtype=np.uint8)
        return np.frombuffer(self.data, dtype=np.uint8, count=nbytes, offset=start)

    def forget(self, start: int, nbytes: int) -> None:
        """Give back the memory of the whole pages among these bytes. They are read again if somebody looks."""
        first, end = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, (start + nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED") and first < end:
            self.data.madvise(mmap.MADV_DONTNEED, first, end - first)

    @property
    def sha256(self) -> str:
        """Hash of the whole file, in hexadecimal; computed once."""
        if self._sha256 is None:
            with self._absolute.open("rb") as file:
                self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return self._sha256

    def close(self) -> None:
        """Unmap, or leave that to the last array that still looks at the map."""
        if self._map is not None:
            with contextlib.suppress(BufferError):  # arrays were handed out; the map goes when they do
                self._map.close()
            self._map = None


def _map_file(path: Path) -> tuple[int, mmap.mmap]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ModelFileMissing(f"{path} does not exist", hint="check the path") from None
    except OSError as error:
        raise ModelFileMissing(f"{path} can't be opened: {error.strerror}", hint="check its permissions") from error
    except ValueError as error:  # a NUL in the path
        raise ModelFileMissing(f"{str(path)!r} is no usable path: {error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileMissing(f"{path} is no regular file", expected="a file of weights")
        if status.st_size == 0:
            raise CorruptModelFile(f"{path} is empty (0 bytes)", hint=DAMAGED_HINT)
        return status.st_size, _private_map(descriptor, status.st_size)
    except (OSError, ValueError) as error:  # ValueError: it shrank since we asked for its size
        raise ModelFileMissing(f"{path} can't be mapped: {error}") from error
    finally:
        os.close(descriptor)


def _private_map(descriptor: int, size: int) -> mmap.mmap:
    if hasattr(mmap, "MAP_PRIVATE"):
        # NORESERVE: pages that nobody writes to cost no memory, so a file larger than the machine's may still be mapped
        flags = mmap.MAP_PRIVATE | _NORESERVE
        return mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)


def joint_sha256(files: Sequence[MappedFile]) -> str:
    """Hash of one file; or, of several, of the lines that `sha256sum` would print for them in this order."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.sha256}  {file.path.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
