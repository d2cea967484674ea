"""The page on families names all of them, and the code that it shows is the code."""

from __future__ import annotations

import re
from pathlib import Path

from limpide.models.registry import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "families.md").read_text()
SHOWN_FROM = ("src/limpide/models/smollm3.py", "src/limpide/models/registry.py", "tests/parity")


def test_every_family_has_its_row() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    assert {family.name for family in FAMILIES} <= set(re.findall(r"`(\w+)`", rows))


def test_the_code_that_it_shows_is_the_code() -> None:
    files = [
        file for name in SHOWN_FROM for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).glob("*.py"))
    ]
    sources = [file.read_text() for file in files]
    blocks = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        assert any(block in source for source in sources), block
