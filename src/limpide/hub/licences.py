"""Licences as data: what a model's terms allow, what they ask, and whether they were accepted on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from limpide.core.errors import InvalidParameter, LicenceNotAccepted
from limpide.hub.files import write_whole
from limpide.hub.places import state_dir


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms under which weights are given."""

    key: str
    """What `--accept-licence` takes, for example `gemma`."""
    spdx: str
    """SPDX identifier, or `LicenseRef-…` where SPDX has none."""
    name: str
    permissive: bool
    """Free to use, change and pass on for any purpose, with attribution at most."""
    needs_acceptance: bool
    """Whether the terms must be accepted before the first use."""
    obligations: tuple[str, ...]
    """What the terms ask for, in plain words. Not legal advice; the terms decide."""
    terms: str
    """Where the terms are published."""


APACHE_2 = Licence(
    key="apache-2.0",
    spdx="Apache-2.0",
    name="Apache License 2.0",
    permissive=True,
    needs_acceptance=False,
    obligations=("pass the licence text and the notices on with the weights", "say what you changed"),
    terms="https://www.apache.org/licenses/LICENSE-2.0",
)

GEMMA = Licence(
    key="gemma",
    spdx="LicenseRef-Gemma",
    name="Gemma Terms of Use",
    permissive=False,
    needs_acceptance=True,
    obligations=(
        "do not use the model for what Google's Gemma Prohibited Use Policy forbids",
        "whoever you give the model, or a model made from it, to must be bound to the same restrictions and get a copy "
        "of the terms",
        "mark the files that you changed",
        "Google may restrict use that breaks the terms",
    ),
    terms="https://ai.google.dev/gemma/terms",
)

LICENCES: dict[str, Licence] = {licence.key: licence for licence in (APACHE_2, GEMMA)}


class Acceptances:
    """The terms accepted on this machine, kept in one small file."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir() / "accepted-licences.json"

    def read(self) -> dict[str, str]:
        """Accepted licence keys and when (ISO 8601). A missing or unreadable file accepts nothing."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {key: when for key, when in found.items() if isinstance(key, str) and isinstance(when, str)}

    def accept(self, licence: Licence) -> None:
        """Remember that the terms were accepted."""
        accepted = self.read()
        if licence.key not in accepted:
            accepted[licence.key] = datetime.now(UTC).isoformat(timespec="seconds")
            write_whole(self.path, json.dumps(accepted, indent=2, sort_keys=True).encode() + b"\n")


def known(keys: Iterable[str]) -> frozenset[str]:
    """Check keys given to `--accept-licence`. Raises InvalidParameter for one that nobody knows."""
    checked = frozenset(key.strip().lower() for key in keys)
    for key in sorted(checked - LICENCES.keys()):
        raise InvalidParameter("accept-licence", key, "one of " + ", ".join(sorted(LICENCES)))
    return checked


def require_accepted(licence: Licence, model: str, accepting: frozenset[str], acceptances: Acceptances) -> None:
    """Pass if the terms need no acceptance, were accepted before, or are accepted now (and remember it).

    Raises LicenceNotAccepted, naming the terms and how to accept them.
    """
    if not licence.needs_acceptance:
        return
    if licence.key in accepting:
        acceptances.accept(licence)
    elif licence.key not in acceptances.read():
        asked = "".join(f"\n  - {line}" for line in licence.obligations)
        raise LicenceNotAccepted(
            f"{model} comes under the {licence.name} ({licence.terms}), which nobody accepted on this machine yet. "
            f"In short:{asked}",
            expected="the terms read and accepted once",
            hint=f"add --accept-licence {licence.key}",
        )
