"""Which terms were accepted on this machine, and asking for those that were not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from limpide.core.errors import InvalidParameter, LicenceNotAccepted
from limpide.core.places import state_dir
from limpide.hub.files import write_whole
from limpide.hub.licences import LICENCES, Licence


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
        asked = "".join(f"\n  - {line}" for line in licence.plainly())
        raise LicenceNotAccepted(
            f"{model} comes under the {licence.name} ({licence.terms}), which nobody accepted on this machine yet. "
            f"In short:{asked}",
            expected="the terms read and accepted once",
            hint=f"add --accept-licence {licence.key}",
        )
