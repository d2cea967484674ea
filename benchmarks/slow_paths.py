"""What a model costs whose blocks or stored types the kernels don't know, beside one that they know whole.

    python benchmarks/slow_paths.py
    python benchmarks/slow_paths.py --only experts Q3_K

Makes models of a common width with a few layers of random blocks in memory, runs them as `fast` does, and prints one
JSON object each: seconds per layer for a token of an answer and for one of a prompt, bytes of weights that a token
reads, and the gigabytes, numbers and operations per second that this makes. The constants of `limpide.hub.speed` are
set from these. Nothing is downloaded. On a machine that is shared, believe only what repeats.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import torch

from limpide.cache import PagedCache
from limpide.hub.machine import measure_machine
from limpide.layers.spec import DeltaNetSpec, LatentAttentionSpec, Mamba2Spec
from limpide.layers.weights import Weights
from limpide.models import CausalLM
from limpide.models.parameters import parameters
from limpide.models.spec import (
    AttentionSpec,
    BlockSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeSpec,
    RouterSpec,
)
from limpide.quant import get_format
from limpide.quant.stack import QuantStack
from limpide.quant.tensor import QuantTensor

HIDDEN, HEADS, HEAD, WIDTH, EXPERTS, CHOSEN, EXPERT_WIDTH = 2048, 16, 128, 6144, 32, 8, 768
NORM, ROPE = NormSpec(1e-6), RopeSpec(1e4, HEAD)
ATTENTION = AttentionSpec(HEADS, 4, HEAD, HEAD**-0.5, rope=ROPE)
PLAIN = BlockSpec(ATTENTION, MLPSpec(WIDTH), NORM)
LATENT = LatentAttentionSpec(HEADS, 512, 128, 128, 192**-0.5, RopeSpec(1e4, 64, "interleaved"), NORM, q_latent=1536)
BLOCKS: dict[str, BlockSpec] = {
    "kernels": PLAIN,
    "biases": replace(PLAIN, attention=replace(ATTENTION, qkv_bias=True)),
    "soft caps": replace(PLAIN, attention=replace(ATTENTION, softcap=50.0)),
    "experts": replace(PLAIN, feed_forward=MoESpec(RouterSpec(EXPERTS, CHOSEN), MLPSpec(EXPERT_WIDTH))),
    "latent": replace(PLAIN, attention=LATENT),
    "delta": replace(PLAIN, attention=DeltaNetSpec(16, 32, 128, 128, 4, NORM)),
    "mamba": replace(PLAIN, attention=Mamba2Spec(64, 64, 1, 128, 4, NORM)),
}
TYPES = ("Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS", "MXFP4", "F16", "BF16", "F32", "exact")
"""`exact`: float32 that torch multiplies with, as the exact numerics do."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=[*BLOCKS, *TYPES], default=[*BLOCKS, *TYPES])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = measure_machine()
    print(json.dumps({"read_bandwidth": machine.read_bandwidth, "matmul_flops": machine.matmul_flops}))
    for name in options.only:
        block, stored = (BLOCKS[name], "Q4_K") if name in BLOCKS else (PLAIN, name)
        print(json.dumps({"name": name} | measured(block, stored, options)), flush=True)


def measured(block: BlockSpec, stored: str, options: argparse.Namespace) -> dict[str, Any]:
    """The best of some rounds of one token, and of a prompt."""
    spec = ModelSpec("test", 512, HIDDEN, 4096, blocks=(block,) * options.layers, norm=NORM, tied=True)
    model, size = make(spec, stored)
    cache = PagedCache(spec.kv_shapes, 64, dtype=torch.float16, states=spec.state_shapes, max_sequences=2)
    times: dict[int, float] = {}
    for count in (options.prompt, 1):
        lease, done, best = cache.open(), 0, float("inf")
        for _ in range(options.rounds + 1):
            if done + count > 512:
                cache.close(lease)
                lease, done = cache.open(), 0
            cache.reserve(lease, done + count)
            view = cache.view([(lease, done, count)])
            tokens, positions = torch.randint(0, 512, (count,)), torch.arange(done, done + count)
            start = time.perf_counter()
            with torch.inference_mode():
                model.logits(model(tokens, positions, view, torch.tensor([count - 1])))
            best = min(best, time.perf_counter() - start)
            done += count
        cache.close(lease)
        times[count] = best
    used = CHOSEN / EXPERTS if isinstance(block.feed_forward, MoESpec) else 1.0
    read = size["other"] + used * size["experts"]
    numbers = read / get_format("F32" if stored == "exact" else stored).row_bytes(HIDDEN) * HIDDEN
    return {
        "stored": stored,
        "token_seconds_per_layer": times[1] / options.layers,
        "prompt_token_seconds_per_layer": times[options.prompt] / options.prompt / options.layers,
        "bytes_per_layer": read / options.layers,
        "gigabytes_per_second": read / times[1] / 1e9,
        "million_numbers_per_second": numbers / times[1] / 1e6,
        "prompt_gigaflops": 2 * numbers * options.prompt / times[options.prompt] / 1e9,
    }


def make(spec: ModelSpec, stored: str) -> tuple[CausalLM, dict[str, float]]:
    """The model, and bytes of its blocks: those of experts, and the others."""
    tensors: dict[str, Any] = {}
    size = {"experts": 0.0, "other": 0.0}
    for name, shape in parameters(spec).items():
        small = len(shape) == 1 or shape[-1] % 256 or "norm" in name or "router" in name
        if small or stored == "exact":
            tensors[name] = torch.rand(shape) * 0.1
            size["other"] += 0 if small or name == "embed.weight" else tensors[name].nbytes
        elif len(shape) == 3 and "experts" in name:
            tensors[name] = QuantStack(shape, tuple(matrix(stored, *shape[1:]) for _ in range(shape[0])))
            size["experts"] += tensors[name].nbytes
        else:
            tensors[name] = matrix(stored, *shape)
            size["other"] += tensors[name].nbytes if name != "embed.weight" else 0
    return CausalLM(spec, Weights(tensors)), size


def matrix(stored: str, rows: int, columns: int) -> QuantTensor:
    """Random bytes that make small numbers: in MXFP4 a byte is the exponent, elsewhere the first bits are."""
    kind = get_format(stored)
    low, high = (96, 128) if stored == "MXFP4" else (0, 32)
    data = torch.randint(low, high, (rows, kind.row_bytes(columns)), dtype=torch.uint8)
    return QuantTensor(kind, (rows, columns), data)


if __name__ == "__main__":
    main()
