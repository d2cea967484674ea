"""The models that this machine has: each in a directory of its own, with a record that says it is whole.

    cache/models/<name>-<start of the sha256>/   the file, and record.json, written last
    cache/partial/<the same key>/                what a download has so far
    cache/locks/<the same key>.lock              held while one is under way

A directory without a fitting record is not a model, so a crash at any moment leaves nothing that passes for whole.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from limpide.core.errors import ChecksumMismatch, DiskFull, DownloadFailed, LimpideError, OfflineError
from limpide.core.files import sync_directory
from limpide.core.places import cache_dir
from limpide.hub.catalog import PinnedEntry
from limpide.hub.files import disk_full, free_bytes, remove_tree, room_on, sha256_of, write_whole
from limpide.hub.locks import alone
from limpide.hub.progress import Progress, Silent
from limpide.hub.sources import Source, SourceFailed

_RECORD = "record.json"
_RECORD_VERSION = 1
_MARGIN_BYTES = 16 << 20
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is here, whole and checked."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    mtime_ns: int
    """The file's modification time when it was checked: a file that was touched since is checked again."""
    source: str
    licence: str
    in_place: bool
    """Kept by someone else (the Hugging Face cache) and only pointed to."""
    pulled: str
    """ISO 8601."""


class Store:
    """The models in one cache directory. Safe to use from several processes at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()

    def lookup(self, entry: PinnedEntry) -> Installed | None:
        """The model if it is here and whole. Sends nothing; costs one small read unless the file was touched."""
        found = self._read(self._home(entry))
        if found is None or found.sha256 != entry.sha256 or found.size_bytes != entry.size_bytes:
            return None
        try:
            state = found.path.stat()
        except OSError:
            return None
        if state.st_size != found.size_bytes:
            return None
        if state.st_mtime_ns != found.mtime_ns:
            if sha256_of(found.path) != found.sha256:
                return None
            found = replace(found, mtime_ns=state.st_mtime_ns)
            with contextlib.suppress(OSError, DiskFull):  # a store that we may only read costs a check each time
                self._write(self._home(entry), found)
        return found

    def pull(self, entry: PinnedEntry, *, offline: bool = False, progress: Progress | None = None) -> Installed:
        """Make sure that the model is here. Waits if another process is already fetching it.

        Raises OfflineError, DiskFull, ChecksumMismatch or DownloadFailed; nothing is left behind but, after a failed
        transfer, what the next try can go on from.
        """
        progress = progress or Silent()
        if found := self.lookup(entry):
            return found
        with self._locked(entry, progress):
            if found := self.lookup(entry):  # the process that we waited for
                return found
            if found := self._adopt(entry):
                remove_tree(self._partial(entry))
                return found
            if offline:
                raise OfflineError(
                    f"{entry.name} is not on this machine, and offline nothing may be fetched",
                    hint=f"once, with the network: limpide models pull {entry.name}",
                )
            return self._fetch(entry, progress)

    def verify(self, entry: PinnedEntry) -> bool:
        """Read the whole file again and compare. A wrong one loses its record, so that the next pull replaces it."""
        found = self.lookup(entry)
        if found and sha256_of(found.path) == found.sha256:
            return True
        (self._home(entry) / _RECORD).unlink(missing_ok=True)
        return False

    def models(self) -> list[Installed]:
        """All models that are here, catalog or not, by name."""
        homes = (self.root / "models").glob("*/")
        found = (self._read(home) for home in homes)
        return sorted((m for m in found if m is not None and m.path.exists()), key=lambda m: m.name)

    def remove(self, entry: PinnedEntry) -> Installed | None:
        """Forget a model and whatever a broken download left of it. A file kept by someone else stays where it is."""
        with self._locked(entry, Silent()):
            home = self._home(entry)
            found = self._read(home)
            (home / _RECORD).unlink(missing_ok=True)  # first: from here on it is not whole
            remove_tree(home)
            remove_tree(self._partial(entry))
            return found

    def _key(self, entry: PinnedEntry) -> str:
        key = f"{entry.name}-{entry.sha256[:12]}"
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a fit name for a directory: {key}")
        return key

    def _home(self, entry: PinnedEntry) -> Path:
        return self.root / "models" / self._key(entry)

    def _partial(self, entry: PinnedEntry) -> Path:
        return self.root / "partial" / self._key(entry)

    @contextlib.contextmanager
    def _locked(self, entry: PinnedEntry, progress: Progress) -> Iterator[None]:
        """One process at a time per model."""
        locks = self.root / "locks"
        with room_on(self.root):
            locks.mkdir(parents=True, exist_ok=True)
        waiting = f"another process is fetching {entry.name}; waiting for it"
        with alone(locks / f"{self._key(entry)}.lock", progress, waiting):
            yield

    def _adopt(self, entry: PinnedEntry) -> Installed | None:
        """Take what is already here: a file that lost its record, or one that a source's own cache holds."""
        home = self._home(entry)
        own = home / entry.filename
        if _is_wanted(own, entry):
            return self._register(entry, own, source="already here", in_place=False)
        for source in entry.sources:
            path = source.locate()
            if path is not None and _is_wanted(path, entry):
                return self._register(entry, path, source=source.label, in_place=True)
        return None

    def _fetch(self, entry: PinnedEntry, progress: Progress) -> Installed:
        failures: list[Exception] = []
        for source in entry.sources:
            try:
                return self._fetch_from(source, entry, progress)
            except (SourceFailed, ChecksumMismatch, DiskFull) as error:
                failures.append(error)
                if source is not entry.sources[-1]:
                    progress.message(f"{_first_line(error)}; trying the next source")
        raise _verdict(entry, failures)

    def _fetch_from(self, source: Source, entry: PinnedEntry, progress: Progress) -> Installed:
        directory, needed = source.room_needed(entry.size_bytes, self.root)
        scratch = self._partial(entry)
        if free_bytes(directory) + _bytes_of(scratch) < needed + _MARGIN_BYTES:
            raise disk_full(directory, needed)
        try:
            with room_on(self.root):
                scratch.mkdir(parents=True, exist_ok=True)
                for stale in (*scratch.glob("pip-*"), *scratch.glob("ready-*")):
                    remove_tree(stale)
                ready = scratch / "ready-now"
                ready.mkdir()
                path = source.fetch(ready / entry.filename, scratch, progress)
                self._check(source, path, entry)
                if path.parent == ready:
                    path = self._move_home(ready, entry)
                    installed = self._register(entry, path, source=source.label, in_place=False)
                else:
                    installed = self._register(entry, path, source=source.label, in_place=True)
        except DiskFull:
            remove_tree(scratch)
            remove_tree(self._home(entry))
            raise
        except BaseException:
            remove_tree(scratch / "ready-now")
            raise
        remove_tree(scratch)
        return installed

    def _check(self, source: Source, path: Path, entry: PinnedEntry) -> None:
        size = path.stat().st_size
        digest = sha256_of(path) if size == entry.size_bytes else None
        if digest == entry.sha256:
            return
        source.discard(path)
        remove_tree(self._partial(entry))  # a wheel that is whole but wrong must not be used again
        found = f"sha256 {digest}" if digest else f"{size} bytes"
        raise ChecksumMismatch(
            f"{entry.name} from {source.label} is not the file that its publisher described: {found}",
            expected=f"{entry.size_bytes} bytes with sha256 {entry.sha256}",
            hint="pull again; if it happens again, the source or the network on the way changes files: report it",
        )

    def _move_home(self, ready: Path, entry: PinnedEntry) -> Path:
        """Put a checked directory in its place, by one rename, and make that durable."""
        home = self._home(entry)
        home.parent.mkdir(parents=True, exist_ok=True)
        remove_tree(home)
        ready.replace(home)
        sync_directory(home)
        sync_directory(home.parent)
        return home / entry.filename

    def _register(self, entry: PinnedEntry, path: Path, *, source: str, in_place: bool) -> Installed:
        """Write the record that makes a model whole."""
        installed = Installed(
            name=entry.name,
            path=path,
            size_bytes=entry.size_bytes,
            sha256=entry.sha256,
            mtime_ns=path.stat().st_mtime_ns,
            source=source,
            licence=entry.licence.spdx,
            in_place=in_place,
            pulled=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._write(self._home(entry), installed)
        return installed

    def _write(self, home: Path, installed: Installed) -> None:
        path = str(installed.path) if installed.in_place else installed.path.name
        record = asdict(installed) | {"version": _RECORD_VERSION, "path": path}
        write_whole(home / _RECORD, json.dumps(record, indent=2).encode() + b"\n")

    def _read(self, home: Path) -> Installed | None:
        """The record in a directory, if it is one of ours and makes sense."""
        try:
            record = json.loads((home / _RECORD).read_text(encoding="utf-8"))
            if record.pop("version") != _RECORD_VERSION:
                return None
            path = Path(record["path"])
            record["path"] = path if record["in_place"] else home / path.name
            found = Installed(**record)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        numbers = (found.size_bytes, found.mtime_ns)
        texts = (found.name, found.sha256, found.source, found.licence, found.pulled)
        fits = all(isinstance(n, int) for n in numbers) and all(isinstance(t, str) for t in texts)
        return found if fits else None


def _is_wanted(path: Path, entry: PinnedEntry) -> bool:
    try:
        return path.stat().st_size == entry.size_bytes and sha256_of(path) == entry.sha256
    except OSError:
        return False


def _bytes_of(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file())


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _verdict(entry: PinnedEntry, failures: list[Exception]) -> LimpideError:
    """One error for all sources: the one that a person can do most about, with what each source said."""
    for kind in (ChecksumMismatch, DiskFull):
        for error in failures:
            if isinstance(error, kind):
                return error
    said = "".join(f"\n  - {_first_line(error)}" for error in failures)
    return DownloadFailed(
        f"no source delivered {entry.name}:{said}",
        expected="one of them within reach",
        hint="check the network, the proxy and pip's index, then pull again: it goes on where it stopped; "
        "or give the path of a .gguf file that you have",
    )
