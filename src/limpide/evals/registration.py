"""What was promised before the results were seen: the margin, the error rate and the tasks of a comparison.

A margin that is chosen when the results are known can be chosen to fit. So it is written down first, with the time, and
a comparison says whether its margin is the one that was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from limpide.core.errors import CorruptRun, InvalidParameter, RunMismatch
from limpide.core.evidence import RunManifest
from limpide.core.files import write_whole
from limpide.core.results import to_json
from limpide.core.strict import plain, read_record

REGISTRATION = "compare.json"
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Registration:
    """A promise, and when it was made."""

    SCHEMA: ClassVar[str] = "limpide.compare/1"

    a: str
    b: str
    tasks: tuple[str, ...]
    margin: float
    alpha: float
    registered_at: str
    """ISO 8601, UTC, by the clock of the machine: it guards against forgetting, not against fraud."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"schema": self.SCHEMA, **plain(self)}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read what `as_dict` wrote. Raises InvalidParameter."""
        if not isinstance(data, dict) or data.get("schema") != cls.SCHEMA:
            raise InvalidParameter("schema", data.get("schema") if isinstance(data, dict) else data, cls.SCHEMA)
        found = read_record(
            cls, {name: value for name, value in data.items() if name != "schema"}, where="registration"
        )
        _instant(found.registered_at)
        return found

    def covers(self, run: RunManifest, margin: float, alpha: float) -> bool:
        """Whether this margin was promised for the task before the first item of the run was asked."""
        before = _instant(self.registered_at) <= _instant(run.started_at)
        return before and run.task in self.tasks and (margin, alpha) == (self.margin, self.alpha)


def promise(a: str, b: str, tasks: tuple[str, ...], margin: float, alpha: float) -> Registration:
    """A promise that is made now."""
    return Registration(a, b, tasks, margin, alpha, datetime.now(UTC).isoformat(timespec="seconds"))


def register(folder: Path, wanted: Registration) -> Registration:
    """Write the promise into the folder, or find it there. Raises RunMismatch if another one was made, CorruptRun."""
    if (there := read_registration(folder)) is not None:
        promised, asked = plain(there), plain(wanted)
        changed = [name for name in promised if name != "registered_at" and promised[name] != asked[name]]
        if changed:
            told = "; ".join(f"{name} was {promised[name]!r} and is {asked[name]!r}" for name in changed)
            raise RunMismatch(
                f"the comparison in {folder} was registered with something else: {told}",
                expected="what was promised before the results",
                hint="take another folder for another comparison",
            )
        return there
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / REGISTRATION, f"{to_json(wanted.as_dict())}\n".encode())
    return wanted


def read_registration(folder: Path) -> Registration | None:
    """The promise in this folder, if there is one. Raises CorruptRun."""
    path = folder / REGISTRATION
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        return Registration.from_dict(json.loads(data))
    except (ValueError, RecursionError, InvalidParameter) as error:
        raise CorruptRun(f"{path} is no registration: {error}", expected=Registration.SCHEMA) from error


def registration_of(run: Path) -> Registration | None:
    """The promise beside a run, or above it: FOLDER/compare.json for FOLDER/b/TASK."""
    for folder in (run, *run.resolve().parents[:2]):
        if (found := read_registration(folder)) is not None:
            return found
    return None


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameter("time", text, "a time as ISO 8601 has it") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
