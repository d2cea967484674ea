"""What a report is made of: runs, with the hashes of their files and what was promised before them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from limpide.core.errors import NotFound
from limpide.core.thinking import Thinking
from limpide.evals.registration import Registration, read_registration
from limpide.evals.run import Run
from limpide.evals.run.folder import ITEMS, MANIFEST


@dataclass(frozen=True, slots=True)
class Source:
    """One run of the report."""

    folder: Path
    run: Run
    manifest_sha256: str
    """Of the file, as sha256sum gives it."""
    items_sha256: str | None
    """Likewise; None if nothing was answered yet."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises NotFound, CorruptRun."""
        run = Run.read(folder)
        items = folder / ITEMS
        return cls(folder, run, _sha256(folder / MANIFEST), _sha256(items) if items.is_file() else None)

    @property
    def subject(self) -> tuple[str, str | None, str | None]:
        """What makes it the same model as another run's: name, weights, and the precision it is computed in."""
        backend = self.run.manifest.backend
        return self.run.manifest.model, backend.weights_sha256, backend.numerics

    @property
    def thinking(self) -> Thinking:
        """Position of the dial."""
        return Thinking.parse(self.run.manifest.thinking)


def find_sources(folders: Iterable[Path]) -> list[Source]:
    """The runs in these folders: each is a run, holds runs, or is what `limpide compare -o` wrote (a/ and b/).

    None is read twice. Raises NotFound if a folder has no run, CorruptRun.
    """
    found: dict[Path, Source] = {}
    for folder in folders:
        paths = next(
            (paths for depth in ("", "*/", "*/*/") if (paths := sorted(folder.glob(f"{depth}{MANIFEST}")))), []
        )
        if not paths:
            raise NotFound(
                f"there is no run in {folder}", expected=f"a folder with a {MANIFEST}, or folders that have one"
            )
        for path in paths:
            where = path.parent.resolve()
            if where not in found:
                found[where] = Source.read(path.parent)
    return list(found.values())


def promise_between(a: Source, b: Source) -> Registration | None:
    """What was promised of B against A: compare.json, if these are the a/TASK and b/TASK beside it."""
    side_a, side_b = a.folder.resolve().parent, b.folder.resolve().parent
    if (side_a.name, side_b.name) != ("a", "b") or side_a.parent != side_b.parent:
        return None
    return read_registration(side_a.parent)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
