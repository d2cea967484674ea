"""How fast mixtures of experts are computed: layers of a real model's shape, with random weights.

    python benchmarks/experts.py
    python benchmarks/experts.py --shape qwen3-30b-a3b --tokens 1 8 512

Router and experts of some layers, as `fast` runs them, with tokens that choose at random. For each number of tokens per
step: milliseconds per layer, gigabytes of experts' weights that are read per second beside what this machine reads, and
thousand million operations per second. Best of `--rounds`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from limpide.cache import PlainKV
from limpide.hub.machine import measure_machine
from limpide.layers.moe import MoE
from limpide.layers.spec import GateClamp, MLPSpec, MoESpec, RouterSpec
from limpide.layers.step import Step
from limpide.layers.weights import Weights
from limpide.quant import QuantStack, QuantTensor, get_format

SHAPES: dict[str, tuple[int, str, MoESpec]] = {
    "gpt-oss-20b": (
        2880,
        "MXFP4",
        MoESpec(
            RouterSpec(32, 4, order="topk_then_score", bias=True), MLPSpec(2880, bias=True, clamp=GateClamp(1.702, 7.0))
        ),
    ),
    "qwen3-30b-a3b": (2048, "Q4_K", MoESpec(RouterSpec(128, 8), MLPSpec(768))),
    "mixtral-8x7b": (4096, "Q4_K", MoESpec(RouterSpec(8, 2), MLPSpec(14336))),
}
"""Hidden size, stored type, and what the layer is."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="gpt-oss-20b")
    parser.add_argument("--format", help="another stored type")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 8, 128], help="per step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    hidden, stored, spec = SHAPES[options.shape]
    stored = options.format or stored
    layers = [make(spec, hidden, stored) for _ in range(options.layers)]
    bandwidth = measure_machine().read_bandwidth
    print(f"{options.shape}, {stored}, {options.layers} layers; this machine reads {bandwidth / 1e9:.1f} GB/s")
    for tokens in options.tokens:
        print(line(layers, hidden, tokens, options.rounds), flush=True)


def make(spec: MoESpec, hidden: int, stored: str) -> MoE:
    """A layer of random blocks."""
    count, width = spec.router.experts, spec.expert.width
    tensors: dict[str, Any] = {"router.weight": torch.randn(count, hidden), "router.bias": torch.zeros(count)}
    for name, rows, columns in (("gate", width, hidden), ("up", width, hidden), ("down", hidden, width)):
        matrices = tuple(matrix(stored, rows, columns) for _ in range(count))
        tensors[f"experts.{name}.weight"] = QuantStack((count, rows, columns), matrices)
        tensors[f"experts.{name}.bias"] = torch.randn(count, rows)
    return MoE(spec, Weights(tensors), 0)


def matrix(stored: str, rows: int, columns: int) -> QuantTensor:
    """Random bytes that make small numbers: in MXFP4 a byte is the exponent, elsewhere the first bits are."""
    kind = get_format(stored)
    low, high = (96, 128) if stored == "MXFP4" else (0, 32)
    data = torch.randint(low, high, (rows, kind.row_bytes(columns)), dtype=torch.uint8)
    return QuantTensor(kind, (rows, columns), data)


def line(layers: list[MoE], hidden: int, tokens: int, rounds: int) -> str:
    best = float("inf")
    spec, experts = layers[0].spec, layers[0].experts
    pairs = tokens * spec.router.chosen
    for _ in range(rounds):
        x = torch.randn(tokens, hidden)
        with torch.inference_mode():
            started = time.perf_counter()
            for layer in layers:
                layer(x, Step(PlainKV([tokens]), {}, None))
            best = min(best, time.perf_counter() - started)
    used = spec.router.experts * (1 - (1 - spec.router.chosen / spec.router.experts) ** tokens)
    read = used / spec.router.experts * experts.nbytes * len(layers)
    operations = 2 * pairs * 3 * hidden * spec.expert.width * len(layers)
    return (
        f"{tokens} tokens: {best / len(layers) * 1e3:.2f} ms per layer, {read / best / 1e9:.1f} GB/s, "
        f"{operations / best / 1e9:.0f} GOP/s"
    )


if __name__ == "__main__":
    main()
