"""`pytest` is the one command: it also holds the code to its style and types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache", "--quiet"),
        ("ruff", "format", "--no-cache", "--check", "--quiet"),
        ("mypy", "--no-error-summary"),
    ],
    ids=" ".join,
)
def test_style(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_place_of_one_machine_is_committed() -> None:
    """A path that exists on one machine alone, or a home of somebody, has no business in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    suspicious = ("/wo" + "rk/", "/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue  # deleted and not committed yet
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name}: {mark}" for mark in suspicious if mark in text]
    assert found == []


def test_test_files_have_names_of_their_own() -> None:
    """Without packages in tests/, pytest imports them by base name: two of the same name stop the whole run."""
    names = [path.name for path in sorted((ROOT / "tests").rglob("*.py")) if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []
