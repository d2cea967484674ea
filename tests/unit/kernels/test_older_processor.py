"""The same tests of the kernels as they are compiled for a processor with AVX2 and nothing newer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(not dict(llvm.get_host_cpu_features()).get("avx512vnni"), reason="this processor is such a one")
@pytest.mark.parametrize(
    "tests",
    [HERE / "test_matmul.py", *(HERE.parent / "layers" / name for name in ("test_fused.py", "test_expert_kernels.py"))],
)
def test_kernels_without_newer_instructions(tests: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        env={**os.environ, "LIMPIDE_KERNELS": "avx2"},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout or "100%" in done.stdout


def test_the_processor_can_be_taken_for_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from limpide.kernels import library

    monkeypatch.setenv("LIMPIDE_KERNELS", "avx2")
    library.processor.cache_clear()
    try:
        name, features = library.processor()
    finally:
        library.processor.cache_clear()
    assert name == "x86-64-v3"
    assert not [
        feature for feature, has in features.items() if has and feature.startswith(("avx512", "amx", "avxvnni"))
    ]
