"""Waiting for somebody else's download, and giving that up."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from limpide.hub.locks import alone
from limpide.hub.progress import Silent


class Impatient(Silent):
    """Waits until it has been told something once."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def update(self, done: int) -> None:
        raise KeyboardInterrupt(done)


def test_a_wait_can_be_ended_by_whoever_watches(tmp_path: Path) -> None:
    path, watching = tmp_path / "one.lock", Impatient()
    with FileLock(path):
        with pytest.raises(KeyboardInterrupt, match="7"), alone(path, watching, "somebody is at it", lambda: 7):
            pytest.fail("two hold the same lock")
        assert watching.said == ["somebody is at it"]
    with alone(path, watching, "nobody is"), alone(tmp_path / "two.lock", watching, "nobody is"):
        assert watching.said == ["somebody is at it"]
