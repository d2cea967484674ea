"""Runs on the disk, and a price list."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_folders import rich


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return rich(tmp_path / "runs")


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(
        'currency = "EUR"\n[models."old-model"]\ninput = 1.0\noutput = 4.0\n'
        '[models."new-model"]\ninput = 2.0\noutput = 8.0\n'
    )
    return path
