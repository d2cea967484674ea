"""Files on the Hugging Face hub, kept in its own cache and used there in place.

HF_HOME, HF_TOKEN, HF_ENDPOINT and the rest of its settings are honoured, because its own library does the talking. That
library is imported late: it takes a quarter of a second, and a model that is already here does not need it.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from limpide.core.errors import DiskFull, LimpideError
from limpide.core.files import sync_directory
from limpide.core.places import hf_cache_dir
from limpide.hub.files import room_on, sha256_of
from limpide.hub.locks import alone
from limpide.hub.progress import Progress
from limpide.hub.sources import SourceFailed
from limpide.hub.transfer import check_sha256, resume_into, session_body, size_of

_T = TypeVar("_T")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = ".limpide.incomplete"
_LARGEST_OVER_HTTP = 50 * 10**9  # beyond it the hub serves its own protocol only, which the library speaks

CONNECT_SECONDS = 3.0
"""What one request for metadata may take, unless HF_HUB_ETAG_TIMEOUT says more: on a slow network one needs it."""
_GRACE_SECONDS = 1.0
"""What the hub may cost beyond that before it counts as out of reach; ends a name server that never answers."""
_MOST_SECONDS = 600.0


def connect_seconds() -> float:
    """What one request for metadata may take."""
    try:
        asked = float(os.environ.get("HF_HUB_ETAG_TIMEOUT", ""))
    except ValueError:
        return CONNECT_SECONDS
    return min(asked, _MOST_SECONDS) if asked > 0 else CONNECT_SECONDS


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """One file of one repository, at a fixed revision."""

    repo: str
    revision: str
    filename: str

    @property
    def label(self) -> str:
        """The repository."""
        return f"Hugging Face hub, {self.repo}"

    def locate(self) -> Path | None:
        """The file in the Hugging Face cache."""
        return cached_file(self.repo, self.revision, self.filename)

    def room_needed(self, size_bytes: int, store: Path) -> tuple[Path, int]:
        """The file, in the Hugging Face cache, without what an earlier try left of it there."""
        begun = (repo_dir(self.repo) / "blobs").glob(f"*{_PART}")
        return hf_cache_dir(), max(0, size_bytes - max((path.stat().st_size for path in begun), default=0))

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        """Download into the Hugging Face cache, or mend what is damaged there."""
        return download(
            self.repo,
            self.revision,
            self.filename,
            progress,
            label=self.label,
        )

    def discard(self, path: Path) -> None:
        """Remove the cached file and what it points to."""
        discard_cached(path)


def repo_dir(repo: str) -> Path:
    """Where the Hugging Face cache keeps a repository."""
    return hf_cache_dir() / f"models--{repo.replace('/', '--')}"


def bytes_here(repo: str, sha256: str | None) -> int:
    """Bytes that the cache has of a file, whole or in part."""
    if sha256 is None or not _SHA256.fullmatch(sha256):
        return 0
    blob = repo_dir(repo) / "blobs" / sha256
    return next((p.stat().st_size for p in (blob, blob.with_name(blob.name + _PART)) if p.is_file()), 0)


def cached_file(repo: str, revision: str, filename: str) -> Path | None:
    """A file in the Hugging Face cache. Sends nothing."""
    folder = cached_snapshot(repo, revision)
    if folder is None:
        return None
    path = folder / filename
    return path if path.is_file() else None


def cached_snapshot(repo: str, revision: str) -> Path | None:
    """The folder of a revision (branch, tag or commit) in the Hugging Face cache. Sends nothing."""
    root = repo_dir(repo)
    try:
        commit = (root / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = revision
    if not commit.replace("-", "").replace("_", "").isalnum():  # a damaged reference must not lead elsewhere
        return None
    folder = root / "snapshots" / commit
    return folder if folder.is_dir() else None


def discard_cached(path: Path) -> None:
    """Remove a file from the Hugging Face cache, its blob included."""
    blob = path.resolve()
    path.unlink(missing_ok=True)
    if blob != path and hf_cache_dir().resolve() in blob.parents:
        blob.unlink(missing_ok=True)


def ask(label: str, question: Callable[[], _T]) -> _T:
    """Put one question to the hub, and give up in time.

    The deadline is kept by a thread because no timeout covers a name server that does not answer. Raises SourceFailed
    with the reason when the hub is out of reach; `question` may raise a LimpideError or SourceFailed of its own.
    """
    _load_library()
    outcome: list[_T] = []
    trouble: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(question())
        except Exception as error:  # noqa: BLE001  (the library's transport errors change from version to version)
            trouble.append(error)

    thread = threading.Thread(target=run, daemon=True, name="limpide-hub")
    thread.start()
    patience = connect_seconds() + _GRACE_SECONDS
    thread.join(patience)
    if outcome:
        return outcome[0]
    if not trouble:
        raise SourceFailed(f"{label}: no answer within {patience:g} seconds (HF_HUB_ETAG_TIMEOUT allows more)")
    error = trouble[0]
    if isinstance(error, LimpideError | SourceFailed):
        raise error
    raise SourceFailed(f"{label}: {in_one_line(error)}") from error


def _load_library() -> None:
    """Import what a question needs before the clock starts: a slow disk is not the hub's fault."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url  # noqa: F401


def in_one_line(error: Exception) -> str:
    """An error of the library, short."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {_without_secrets(text[0])[:200]}" if text else type(error).__name__


def _without_secrets(text: str) -> str:
    """Passwords before a host, and queries, which sign the addresses that the hub sends us to."""
    return re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\"]*", r"\1", re.sub(r"//[^/\s@]+@", "//", text))


def download(
    repo: str,
    revision: str,
    filename: str,
    progress: Progress,
    *,
    label: str,
) -> Path:
    """Download one file into the Hugging Face cache. Raises SourceFailed, ChecksumMismatch or DiskFull.

    The library starts over after an interruption. So a large file, whose ETag is its sha256, is brought to the cache's
    blobs by ourselves, and the library, finding it there, does the rest.
    """
    found = ask(label, lambda: _metadata(repo, revision, filename))
    progress.begin(filename, found.size)
    try:
        digest = found.etag if found.etag and _SHA256.fullmatch(found.etag) else None
        by_us = digest and found.size and found.size <= _LARGEST_OVER_HTTP
        if by_us:
            _bring_blob(repo, found, label, progress)
        with room_on(hf_cache_dir()):
            path = Path(_library_download(repo, found.commit_hash or revision, filename, progress))
        if digest and not by_us:
            check_sha256(path, digest, label, discard_cached)
        return path
    except (LimpideError, SourceFailed):
        raise
    except Exception as error:  # see ask()
        raise SourceFailed(f"{label}: {in_one_line(error)}") from error
    finally:
        progress.end()


def _bring_blob(repo: str, found: Any, label: str, progress: Progress) -> None:
    """Make sure that the cache has the blob, whole and checked."""
    from huggingface_hub import utils

    # In the cache whose file it guards: whoever shares that shares the lock, wherever their own stores are.
    locks = hf_cache_dir() / ".locks" / repo_dir(repo).name
    blob = repo_dir(repo) / "blobs" / found.etag
    part = blob.with_name(found.etag + _PART)
    # A token is for the hub alone: where it sends us elsewhere for the bytes, the address itself is the permission.
    same_host = _origin(found.location) == _origin(_url(repo, found.commit_hash or "main", "x"))
    headers: dict[str, str] = utils.build_hf_headers(  # type: ignore[attr-defined]
        library_name="limpide", token=None if same_host else False
    )
    with room_on(blob.parent):
        blob.parent.mkdir(parents=True, exist_ok=True)
        locks.mkdir(parents=True, exist_ok=True)
        waiting = "another process is fetching the same file; waiting for it"
        with alone(locks / f"{found.etag}.limpide.lock", progress, waiting, lambda: size_of(part)):
            if blob.is_file() and sha256_of(blob) == found.etag:
                return
            try:
                resume_into(
                    part,
                    lambda offset: session_body(found.location, headers, offset),
                    size=found.size,
                    sha256=found.etag,
                    label=label,
                    progress=progress,
                )
            except DiskFull:
                part.unlink(missing_ok=True)
                raise
            part.replace(blob)
            sync_directory(blob.parent)


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host with port: what may see a token sent to the other must agree in both."""
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _library_download(repo: str, revision: str, filename: str, progress: Progress) -> str:
    from huggingface_hub import hf_hub_download

    options: dict[str, Any] = {}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _relay(progress)
    path: str = hf_hub_download(
        repo,
        filename,
        revision=revision,
        cache_dir=hf_cache_dir(),
        etag_timeout=connect_seconds(),
        library_name="limpide",
        **options,
    )
    return path


def _url(repo: str, revision: str, filename: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repo, filename, revision=revision)


def _metadata(repo: str, revision: str, filename: str) -> Any:
    from huggingface_hub import get_hf_file_metadata

    return get_hf_file_metadata(_url(repo, revision, filename), timeout=connect_seconds())


def _relay(progress: Progress) -> type[Any]:
    """A progress bar class for the library, which shows nothing and tells `progress`."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    class Relay(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **options: Any) -> None:
            self._here = int(options.get("initial") or 0)
            options.pop("name", None)
            super().__init__(*args, **(options | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            self._here += int(n or 0)
            progress.update(self._here)
            return None

    return Relay
