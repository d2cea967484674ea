"""Files on the Hugging Face hub, kept in its own cache and used there in place.

HF_HOME, HF_TOKEN, HF_ENDPOINT and the rest of its settings are honoured, because its own library does the talking. That
library is imported late: it takes a quarter of a second, and a model that is already here does not need it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from limpide.core.errors import LimpideError
from limpide.hub.files import room_on
from limpide.hub.places import hf_cache_dir
from limpide.hub.progress import Progress
from limpide.hub.sources import SourceFailed

_T = TypeVar("_T")

CONNECT_SECONDS = 3.0
"""What one request for metadata may take."""
GIVE_UP_SECONDS = 4.0
"""What the hub may cost in all before it counts as out of reach; also ends a name server that never answers."""


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
        """The file, in the Hugging Face cache."""
        return hf_cache_dir(), size_bytes

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        """Download into the Hugging Face cache. A cached file that was not good enough to be adopted is replaced."""
        replace_cached = self.locate() is not None
        found = ask(self.label, lambda: _metadata(self.repo, self.revision, self.filename))
        return download(
            self.repo,
            found.commit_hash or self.revision,
            self.filename,
            found.size,
            progress,
            label=self.label,
            force=replace_cached,
        )

    def discard(self, path: Path) -> None:
        """Remove the cached file and what it points to."""
        discard_cached(path)


def repo_dir(repo: str) -> Path:
    """Where the Hugging Face cache keeps a repository."""
    return hf_cache_dir() / f"models--{repo.replace('/', '--')}"


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
    outcome: list[_T] = []
    trouble: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(question())
        except Exception as error:  # noqa: BLE001  (the library's transport errors change from version to version)
            trouble.append(error)

    thread = threading.Thread(target=run, daemon=True, name="limpide-hub")
    thread.start()
    thread.join(GIVE_UP_SECONDS)
    if outcome:
        return outcome[0]
    if not trouble:
        raise SourceFailed(f"{label}: no answer within {GIVE_UP_SECONDS:g} seconds")
    error = trouble[0]
    if isinstance(error, LimpideError | SourceFailed):
        raise error
    raise SourceFailed(f"{label}: {in_one_line(error)}") from error


def in_one_line(error: Exception) -> str:
    """An error of the library, short."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def download(
    repo: str,
    revision: str,
    filename: str,
    size: int | None,
    progress: Progress,
    *,
    label: str,
    force: bool = False,
) -> Path:
    """Download one file into the Hugging Face cache; the library resumes and locks. Raises SourceFailed or DiskFull."""
    from huggingface_hub import hf_hub_download

    options: dict[str, Any] = {}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _relay(progress)
    unfinished = set(_unfinished(repo))
    progress.begin(filename, size)
    try:
        with room_on(hf_cache_dir()):
            path = hf_hub_download(
                repo,
                filename,
                revision=revision,
                cache_dir=hf_cache_dir(),
                etag_timeout=CONNECT_SECONDS,
                force_download=force,
                library_name="limpide",
                **options,
            )
    except LimpideError:
        for leftover in set(_unfinished(repo)) - unfinished:
            leftover.unlink(missing_ok=True)
        raise
    except Exception as error:  # see ask()
        raise SourceFailed(f"{label}: {in_one_line(error)}") from error
    finally:
        progress.end()
    return Path(path)


def _unfinished(repo: str) -> list[Path]:
    return list((repo_dir(repo) / "blobs").glob("*.incomplete"))


def _metadata(repo: str, revision: str, filename: str) -> Any:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    return get_hf_file_metadata(hf_hub_url(repo, filename, revision=revision), timeout=CONNECT_SECONDS)


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
