"""One large file over HTTP, going on from where an earlier try stopped, even one that was killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from limpide.core.errors import ChecksumMismatch
from limpide.hub.files import room_on, sha256_of
from limpide.hub.progress import Progress
from limpide.hub.sources import SourceFailed

STALL_SECONDS = 15.0
_CHUNK = 1 << 17  # what a broken connection may cost
_FRUITLESS_TRIES = 3
_PAUSE_SECONDS = 0.5
"""Before the second fruitless try; twice that before the third."""


class Opener(Protocol):
    """Opens the file's body from an offset: gives the HTTP status and the chunks."""

    def __call__(self, offset: int) -> Any:
        """A context manager of (status, iterator of bytes)."""


def resume_into(part: Path, opened: Opener, *, size: int, sha256: str, label: str, progress: Progress) -> None:
    """Complete `part` to `size` bytes and check it. Raises SourceFailed, ChecksumMismatch (`part` is gone) or DiskFull.

    A connection that breaks is opened again at the byte where it broke; three times in a row without a byte is enough.
    Between those we wait a little: a server that is overloaded answers later, not sooner.
    """
    progress.update(size_of(part))
    fruitless = 0
    while (have := size_of(part)) != size:
        if have > size:
            part.unlink()
            continue
        try:
            _append(part, opened, have, size, progress)
        except _TransportError as error:
            last = str(error)
        else:
            last = "the connection closed early"
        fruitless = 0 if size_of(part) > have else fruitless + 1
        if fruitless >= _FRUITLESS_TRIES:
            raise SourceFailed(f"{label}: broke off at {size_of(part)} of {size} bytes ({last})")
        time.sleep(_PAUSE_SECONDS * fruitless)
    check_sha256(part, sha256, label, Path.unlink)


def check_sha256(path: Path, expected: str, label: str, discard: Callable[[Path], None]) -> None:
    """Read the whole file; a wrong one is discarded and ChecksumMismatch raised."""
    found = sha256_of(path)
    if found != expected:
        discard(path)
        raise ChecksumMismatch(
            f"a file from {label} arrived damaged: sha256 {found}", expected=f"sha256 {expected}", hint="pull again"
        )


class _TransportError(Exception):
    """Anything that went wrong on the wire."""


def _append(part: Path, opened: Opener, have: int, size: int, progress: Progress) -> None:
    with _transport(opened, have) as (status, chunks):
        if status not in (200, 206):
            raise _TransportError(f"HTTP status {status}")
        # 200 to a request for a part means that the whole file comes again.
        offset = have if status == 206 else 0
        with room_on(part.parent), part.open("ab" if offset else "wb") as file:
            for chunk in chunks:
                if file.tell() + len(chunk) > size:
                    raise _TransportError("more bytes came than the file has")
                file.write(chunk)
                progress.update(file.tell())
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _transport(opened: Opener, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Give every transport error one name, whichever HTTP library speaks."""
    try:
        body = opened(offset)
        status, chunks = body.__enter__()
    except Exception as error:
        raise _TransportError(f"{type(error).__name__}: {error}") from error
    try:
        yield status, _named(chunks)
    finally:
        body.__exit__(None, None, None)


def _named(chunks: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        try:
            chunk = next(chunks)
        except StopIteration:
            return
        except Exception as error:
            raise _TransportError(f"{type(error).__name__}: {error}") from error
        yield chunk


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def session_body(url: str, headers: dict[str, str], offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """A body through the Hugging Face library's own session, with the proxies and certificates it was set up with."""
    from huggingface_hub import get_session

    asked = headers | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    session: Any = get_session()
    if callable(getattr(session, "stream", None)):  # httpx, from version 1 of the library on; requests has a flag there
        with session.stream("GET", url, headers=asked, timeout=STALL_SECONDS, follow_redirects=True) as response:
            yield response.status_code, response.iter_bytes(_CHUNK)
    else:  # requests
        with session.get(url, headers=asked, timeout=STALL_SECONDS, stream=True) as response:
            yield response.status_code, response.iter_content(_CHUNK)
