"""How fast a model will run here: at the speed of the kernels, or slower, and why.

Seconds, with `fast` numerics:

    a token of an answer   weights read / (bandwidth * GENERATION_SHARE) + layers * seconds of a layer
                           + bytes of float32 that torch makes of other types / (bandwidth * EXPANDING)
    a token of a prompt    operations / (matmul_flops * share) + what torch expands, once for PREFILL_CHUNK tokens

The kernels know some families' blocks whole and some stored types; the rest is computed by torch, matrix by matrix
where the type is known, from expanded numbers where not. Which is which stands below as data, since the hub imports no
kernels; tests/contract/test_fit_facts.py holds it to them.

What the constants stand on: for the kernels, SmolLM2 135M and Gemma 3 270M (`benchmarks/fit_accuracy.py`); for the rest
synthetic blocks 2048 wide (`benchmarks/slow_paths.py`), both on two cores of an AMD EPYC with VNNI, 2026-11-24, and one
run without VNNI of 2026-11-22. No large model was measured, hence the ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

from limpide.core.receipt import Numerics
from limpide.hub.machine import Machine
from limpide.hub.shape import ModelShape

KERNEL_TYPES = frozenset({"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "MXFP4"})
"""Stored types that the kernels multiply from."""

_EXPERTS, _LATENT, _RECURRENT = "a mixture of experts", "latent attention", "recurrent layers"

ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "llama": (),
    "qwen2": (),
    "qwen3": (),
    "gemma": (),
    "gemma3": (),
    "phi3": (),
    "gpt2": ("layer norms and biases",),
    "gemma2": ("soft caps",),
    "gemma4": ("norms of values",),
    "granite": ("scaled residuals",),
    "smollm3": ("layers without positions",),
    "mistral3": ("queries that grow with their position",),
    "gpt-oss": ("attention sinks", _EXPERTS),
    "granitemoe": ("scaled residuals", _EXPERTS),
    "granitehybrid": ("scaled residuals", _RECURRENT),
    "llama4": (_EXPERTS,),
    "qwen2moe": (_EXPERTS,),
    "qwen3moe": (_EXPERTS,),
    "deepseek2": (_LATENT,),
    "mistral4": (_LATENT, _EXPERTS),
    "qwen3next": (_RECURRENT, _EXPERTS),
    "qwen35": (_RECURRENT,),
    "qwen35moe": (_RECURRENT, _EXPERTS),
}
"""What an architecture (by GGUF's name) has that the kernels don't know."""

WHOLE = frozenset(name for name, why in ARCHITECTURES.items() if not why)
"""Architectures whose blocks the kernels compute whole."""

MODEL_TYPES: dict[str, str] = {
    **{name: name for name in ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gpt2", "granite", "smollm3", "phi3")},
    **dict.fromkeys(("mistral", "ministral", "mixtral"), "llama"),
    **dict.fromkeys(("granitemoe", "granitemoeshared"), "granitemoe"),
    "gemma3_text": "gemma3",
    "gemma4_text": "gemma4",
    "gpt_oss": "gpt-oss",
    "ministral3": "mistral3",
    "mistral4": "mistral4",
    "granitemoehybrid": "granitehybrid",
    "llama4_text": "llama4",
    "deepseek_v3": "deepseek2",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "qwen3_next": "qwen3next",
    "qwen3_5_text": "qwen35",
    "qwen3_5_moe_text": "qwen35moe",
}
"""config.json's names of the same."""

PREFILL_CHUNK = 512
GENERATION_SHARE = 0.57
LAYER_SECONDS = 20e-6
PROMPT_SHARE = 1.2
PROMPT_SHARE_VNNI = 1.8
"""Above one: `matmul_flops` is of float32, and kernels multiply bytes."""

PLAIN_LAYER_SECONDS = 1.0e-3
"""A block in torch, its matrices by kernels."""
MORE_SECONDS = {_EXPERTS: 0.23e-3, _LATENT: 0.08e-3, _RECURRENT: 1.2e-3}
"""On top of that: for each expert that is chosen, for each head with latent attention, for each recurrent layer."""
PLAIN_PROMPT_SHARE = 1.0
EXPERTS_PROMPT_SHARE = 0.6
EXPANDING = {
    **dict.fromkeys(("F32", "F16", "BF16"), 0.37),
    "Q2_K": 0.075,
    "Q3_K": 0.056,
    "IQ4_NL": 0.048,
    "IQ4_XS": 0.037,
}
"""Bytes of float32 that torch makes of a type, as a share of the bandwidth."""
EXPANDING_OTHERS = 0.055
"""AWQ, GPTQ and FP8 are taken to be like the packed types above: they were not measured."""
TORCH_PROMPT_SHARE = 0.62
EXACT_SHARE = 0.21

SURE, UNSURE = (0.75, 1.25), (0.5, 1.5)
"""What a prediction is multiplied by for its range: of the kernels' speed, and of every other."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a token of an answer costs, whatever the machine."""

    read_bytes: int
    """Weights that it reads."""
    torch_bytes: int = 0
    """Those of them that torch expands, in types without a kernel."""
    torch_cost: float = 0.0
    """What that costs: bytes that could be read in the same time at full bandwidth."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second."""

    generation: float
    generation_at_full_context: float | None
    prompt: float | None
    """Over a prompt of 512 tokens."""
    share: tuple[float, float]
    """What these may be multiplied by and still be right."""


def slowed_by(architecture: str, *, experts: int = 0) -> tuple[str, ...]:
    """What a family's blocks have that the kernels don't know; nothing if they compute them whole."""
    why = ARCHITECTURES.get(architecture, ("a family that the kernels don't know",))
    return (*why, _EXPERTS) if experts and _EXPERTS not in why else why


def stored_slowly(stored: str) -> str:
    """Why numbers of this type go through torch."""
    return f"numbers stored as {stored}"


def expanding(numbers: float, stored: str) -> float:
    """What it costs torch to make float32 of so many numbers of a type, as `Work.torch_cost`."""
    return 4 * numbers / EXPANDING.get(stored, EXPANDING_OTHERS)


def speed(
    work: Work,
    shape: ModelShape | None,
    machine: Machine,
    *,
    slowed: tuple[str, ...],
    numerics: Numerics,
    cache_bytes: int,
) -> Speed:
    """The prediction. `cache_bytes` are those of a full context."""
    if numerics == "exact" and shape is not None:
        active = shape.parameters - shape.idle_parameters
        fixed = 4 * active / (machine.read_bandwidth * EXACT_SHARE) + shape.layers * _layer_seconds(("torch",), shape)
    else:
        fixed = _generation_seconds(work, shape, machine, slowed)
    full = fixed + cache_bytes / (machine.read_bandwidth * GENERATION_SHARE)
    return Speed(
        generation=1 / fixed,
        generation_at_full_context=1 / full if shape else None,
        prompt=1 / _prompt_seconds(work, shape, machine, slowed, exact=numerics == "exact") if shape else None,
        share=UNSURE if slowed or numerics == "exact" else SURE,
    )


def prompt_share(machine: Machine) -> float:
    """What prompts reach of the machine's `matmul_flops` in blocks that the kernels know."""
    return PROMPT_SHARE_VNNI if any(name.endswith("VNNI") for name in machine.isa) else PROMPT_SHARE


def _generation_seconds(work: Work, shape: ModelShape | None, machine: Machine, slowed: tuple[str, ...]) -> float:
    reading = (work.read_bytes - work.torch_bytes) / (machine.read_bandwidth * GENERATION_SHARE)
    layers = shape.layers * _layer_seconds(slowed, shape) if shape else 0.0
    return reading + work.torch_cost / machine.read_bandwidth + layers


def _layer_seconds(slowed: tuple[str, ...], shape: ModelShape) -> float:
    if not slowed:
        return LAYER_SECONDS
    more = {why: MORE_SECONDS.get(why, 0.0) for why in slowed}
    if _EXPERTS in more:
        more[_EXPERTS] *= max(1, shape.experts_used)
    if _LATENT in more:
        more[_LATENT] *= shape.heads
    return PLAIN_LAYER_SECONDS + sum(more.values())


def _prompt_seconds(work: Work, shape: ModelShape, machine: Machine, slowed: tuple[str, ...], *, exact: bool) -> float:
    head = shape.vocabulary * shape.hidden
    weights = max(1, shape.parameters - head - shape.idle_parameters)
    attention = 4 * shape.layers * shape.heads * shape.head_dim * PREFILL_CHUNK / 2
    share = prompt_share(machine)
    if slowed:
        share = EXPERTS_PROMPT_SHARE if _EXPERTS in slowed else PLAIN_PROMPT_SHARE
    if exact or work.torch_cost:
        share = min(share, TORCH_PROMPT_SHARE)
    once = 0.0 if exact else work.torch_cost / machine.read_bandwidth / PREFILL_CHUNK
    # a chunk wakes nearly every expert, and torch expands each
    everything = shape.parameters / max(1, shape.parameters - shape.idle_parameters)
    return (2 * weights + attention) / (machine.matmul_flops * share) + once * everything
