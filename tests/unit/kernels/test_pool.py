"""The pool under use from several threads, and in a forked child (where torch's own threads do not survive)."""

from __future__ import annotations

import os
import threading

import pytest
import torch

from limpide.kernels import matmul
from limpide.quant import get_format


def _product(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randint(0, 40, (64, get_format("Q4_1").row_bytes(256)), generator=generator).to(torch.uint8)
    x = torch.randn(24, 256, generator=generator)
    out = torch.empty(24, 64)
    matmul.multiply(matmul.round_plain(x), [matmul.Matrix.of(w, "Q4_1", 256)], [out])
    return out


def test_many_threads_at_once() -> None:
    expected = [_product(seed) for seed in range(4)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(50):
            if not torch.equal(_product(seed), expected[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_can_compute() -> None:
    expected = _product(0)
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(_product(0), expected) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
