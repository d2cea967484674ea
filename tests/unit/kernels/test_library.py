"""Compiled kernels on disk: damaged or unwritable, the kernel is compiled again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, torch
from limpide.kernels import matmul
rounded = matmul.round_plain(torch.arange(64.0).view(2, 32))
print(rounded.q[0, 0, -1].item(), "numba" in sys.modules)
"""


def run(cache: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "LIMPIDE_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.split()


def test_the_second_run_loads_what_the_first_compiled(tmp_path: Path) -> None:
    assert run(tmp_path) == ["127", "True"]
    assert run(tmp_path) == ["127", "False"]
    (kept,) = tmp_path.rglob("*round_rows_plain.o")
    kept.write_bytes(kept.read_bytes()[:-7])
    assert run(tmp_path) == ["127", "True"]
    assert run(tmp_path) == ["127", "False"]
    assert not list(tmp_path.rglob("tmp*"))


@pytest.mark.skipif(os.name != "posix", reason="needs a device file")
def test_a_cache_that_cannot_be_written_costs_time_only() -> None:
    assert run(Path("/dev/null/nowhere")) == ["127", "True"]
