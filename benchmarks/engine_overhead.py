"""What the engine itself costs per step, with a model that computes nothing.

    python benchmarks/engine_overhead.py

Prints processor microseconds per decode step, for one and for sixteen sequences and the common ways to sample.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from limpide.backends.bytes import byte_tokenizer
from limpide.cache import PagedCache
from limpide.core.sampling import Sampling
from limpide.engine.engine import Engine
from limpide.engine.request import EngineRequest

VOCAB = 49_152
STEPS = 300
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "top_k 50, top_p 0.9": {"temperature": 0.8, "top_k": 50, "top_p": 0.9},
    "top_p 0.9": {"temperature": 0.8, "top_p": 0.9},
    "greedy with 5 logprobs": {"logprobs": 5},
    "all penalties": {"repetition_penalty": 1.1, "frequency_penalty": 0.1, "presence_penalty": 0.1},
}


class Idle:
    """Always the same logits, shaped like a language model's: few likely tokens, a long tail."""

    def __init__(self) -> None:
        row = -2.0 * torch.log(torch.arange(1, VOCAB + 1, dtype=torch.float32))
        self._logits = row[torch.randperm(VOCAB, generator=torch.Generator().manual_seed(0))].repeat(64, 1)
        self._hidden = torch.zeros(1024, 1)

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, kv: object) -> torch.Tensor:
        return self._hidden[: len(tokens)]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._logits[: len(hidden)]


def measure(batch: int, sampling: dict[str, Any]) -> float:
    """Processor microseconds per step."""
    cache = PagedCache([(3, 64, 64)] * 30, 2048, dtype=torch.float16)
    engine = Engine(Idle(), byte_tokenizer(VOCAB), cache, context=4096)
    asked = Sampling(max_tokens=STEPS + 100, ignore_eos=True, **sampling)
    streams = [engine.submit(EngineRequest([1] * 20, asked)) for _ in range(batch)]
    for _ in range(20):
        engine.step()
    started = time.process_time()
    for _ in range(STEPS):
        engine.step()
    seconds = time.process_time() - started
    for stream in streams:
        stream.close()
    return seconds / STEPS * 1e6


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'':<24}{'1 sequence':>12}{'16 sequences':>14}   (us of processor time per step, vocabulary {VOCAB})")
    for name, sampling in WAYS.items():
        print(f"{name:<24}{measure(1, sampling):>12.0f}{measure(16, sampling):>14.0f}")


if __name__ == "__main__":
    main()
