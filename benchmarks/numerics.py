"""How far `fast` numerics are from `exact`, on a real text.

    python benchmarks/numerics.py
    python benchmarks/numerics.py --model ./model.gguf --text FILE --tokens 2000 --json

At every position of the text, KL(exact || fast) between the two distributions of the next token, in nats: its mean, its
quantiles and its maximum, and how often the most likely token is another one. `fast` runs as it does for users: paged
half-precision cache, kernels, the steps that the engine takes, once as a prompt (512 tokens at a time) and once as
generation does it (one token at a time).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from limpide.backends.local import LocalBackend
from limpide.cache import BLOCK_SIZE, PagedCache
from limpide.engine.runner import LOGITS_TILE
from limpide.hub import DEFAULT_MODEL, resolve
from limpide.hub.machine import measure_machine
from limpide.kernels import library
from limpide.models import CausalLM

TEXT = Path(__file__).parent / "text" / "lighthouse.txt"
DTYPES = {"exact": torch.float32, "fast": torch.float16}
WAYS = {"prompt": 512, "generation": 1}
"""Tokens per step."""


@dataclass(frozen=True)
class Difference:
    """What one way of running `fast` gave. KL in nats per token."""

    way: str
    positions: int
    mean_kl: float
    median_kl: float
    p99_kl: float
    max_kl: float
    argmax_flips: int
    exact_nats: float
    """Mean surprise of the text's own tokens under `exact`."""
    fast_nats: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as for `limpide ask`")
    parser.add_argument("--text", type=Path, default=TEXT, help="UTF-8; by default the one beside this script")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--accept-licence", action="append", default=[])
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.tokens < 2:
        parser.error("--tokens: at least 2")
    located = resolve(options.model, offline=options.offline, accept_licences=frozenset(options.accept_licence))
    text = options.text.read_text("utf-8")
    tokens, exact = run_exact(located.path, text, options.tokens)
    if len(tokens) < options.tokens:
        parser.error(f"--text: {len(tokens)} tokens, fewer than {options.tokens}")
    found = run_fast(located.path, tokens, exact)
    machine = measure_machine()
    facts = {
        "model": located.name,
        "text": options.text.name,
        "tokens": len(tokens),
        "kernels": library.available(),
        "processor": machine.processor,
        "isa": machine.isa,
        "cores": machine.cores,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    print(json.dumps({**facts, "results": [asdict(each) for each in found]}) if options.json else table(facts, found))


def run_exact(path: Path, text: str, count: int) -> tuple[list[int], np.ndarray]:
    """The text's first tokens, and log-probabilities [tokens, vocab] after each."""
    with closing(LocalBackend.open(path, numerics="exact")) as backend:
        tokens = backend.tokenizer.encode(text, bos=backend.tokenizer.add_bos)[:count]
        model = cast("CausalLM", backend.model)
        out = np.empty((len(tokens), model.spec.vocab_size), dtype=np.float32)
        for start, logits in steps(model, tokens, 512, "exact"):
            out[start : start + len(logits)] = torch.log_softmax(logits, dim=-1).numpy()
    return tokens, out


def run_fast(path: Path, tokens: list[int], exact: np.ndarray) -> list[Difference]:
    """The same tokens in `fast`, compared as they come: a large vocabulary is held once, not twice."""
    with closing(LocalBackend.open(path, numerics="fast")) as backend:
        return [compare(cast("CausalLM", backend.model), tokens, exact, way) for way in WAYS]


def compare(model: CausalLM, tokens: list[int], exact: np.ndarray, way: str) -> Difference:
    divergence, flips = [], 0
    surprise = {"exact": 0.0, "fast": 0.0}
    for start, logits in steps(model, tokens, WAYS[way], "fast"):
        wanted = torch.from_numpy(exact[start : start + len(logits)]).double()
        got = torch.log_softmax(logits.double(), dim=-1)
        # Normalised once more in double: float32 leaves 1e-7, which is the size of the smallest divergences.
        wanted = wanted - wanted.logsumexp(dim=-1, keepdim=True)
        divergence.append((wanted.exp() * (wanted - got)).sum(-1))
        flips += int((wanted.argmax(-1) != got.argmax(-1)).sum())
        for row, token in enumerate(tokens[start + 1 : start + 1 + len(logits)]):
            surprise["exact"] -= float(wanted[row, token])
            surprise["fast"] -= float(got[row, token])
    kl = torch.cat(divergence)
    known = len(tokens) - 1
    return Difference(
        way,
        len(kl),
        float(kl.mean()),
        float(kl.median()),
        float(kl.quantile(0.99)),
        float(kl.max()),
        flips,
        surprise["exact"] / known,
        surprise["fast"] / known,
    )


def steps(model: CausalLM, tokens: list[int], size: int, numerics: str) -> Iterator[tuple[int, torch.Tensor]]:
    """Runs the tokens through a paged cache, `size` per step; yields (first position, logits [rows, vocab])."""
    blocks = -(-len(tokens) // BLOCK_SIZE)
    cache = PagedCache(model.spec.kv_shapes, blocks, dtype=DTYPES[numerics], states=model.spec.state_shapes)
    lease = cache.open()
    if not cache.reserve(lease, len(tokens)):
        raise AssertionError("the cache was made for these tokens")
    ids = torch.tensor(tokens)
    with torch.inference_mode():
        for start in range(0, len(tokens), size):
            chunk = ids[start : start + size]
            positions = torch.arange(start, start + len(chunk))
            hidden = model.forward(chunk, positions, cast("Any", cache.view([(lease, start, len(chunk))])))
            for row in range(0, len(chunk), LOGITS_TILE):
                yield start + row, model.logits(hidden[row : row + LOGITS_TILE])


def table(facts: dict[str, Any], found: list[Difference]) -> str:
    lines = [f"{name}: {', '.join(value) if isinstance(value, tuple) else value}" for name, value in facts.items()]
    lines += [
        "",
        "| fast, run as | mean KL | median | 99 % | max | argmax flips | nats per token: exact | fast |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for d in found:
        flips = f"{d.argmax_flips} of {d.positions} ({d.argmax_flips / d.positions:.1%})"
        kl = " | ".join(f"{value:.2e}" for value in (d.mean_kl, d.median_kl, d.p99_kl, d.max_kl))
        lines.append(f"| {d.way} | {kl} | {flips} | {d.exact_nats:.4f} | {d.fast_nats:.4f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
