"""A machine on which kernels can't be had answers all the same, through torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limpide.kernels import library

PROMPT = "The capital of France is"

SCRIPT = """
import json, sys
from limpide.backends.local import LocalBackend
from limpide.core.events import TextDelta
from limpide.core.sampling import Sampling
from limpide.kernels import library, paged
from limpide.layers.fused import FusedBlock

calls = []
run = FusedBlock.__call__
FusedBlock.__call__ = lambda self, *given: calls.append(self) or run(self, *given)
backend = LocalBackend.open(sys.argv[1], numerics="fast", context=256)
events = backend.complete(sys.argv[2], Sampling(max_tokens=8, ignore_eos=True, logprobs=0))
tokens = [each.token_id for event in events if isinstance(event, TextDelta) for each in event.logprobs]
kernels = library.kernel.cache_info().currsize
print(json.dumps({"available": library.available(), "tokens": tokens, "fused": len(calls), "kernels": kernels}))
backend.close()
"""


def answer(path: Path, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), PROMPT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_switched_off_torch_gives_the_same_tokens(smollm2_path: Path) -> None:
    without = answer(smollm2_path, LIMPIDE_KERNELS="off")
    assert (without["available"], without["fused"], without["kernels"]) == (False, 0, 0)
    assert len(without["tokens"]) == 8
    usual = answer(smollm2_path, LIMPIDE_KERNELS="")
    if not usual["available"]:
        pytest.skip("kernels can't be had on this machine at all")
    assert usual["fused"] > 0
    assert usual["kernels"] > 0
    assert usual["tokens"] == without["tokens"]


@pytest.mark.parametrize("word", ["off", "OFF", "0", "False"])
def test_the_words_that_switch_them_off(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("LIMPIDE_KERNELS", word)
    assert not library.available.__wrapped__()  # what is remembered of this process stays


def test_a_compiler_that_fails_is_said_once_and_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> library.Entry:
        raise RuntimeError(f"{name}: no code generator for this processor")

    monkeypatch.delenv("LIMPIDE_KERNELS", raising=False)
    monkeypatch.setattr(library, "kernel", broken)
    assert not library.available.__wrapped__()
    assert "no code generator for this processor" in caplog.text
