"""Will a model run here, and how fast: predicted before the download.

Memory, in bytes:

    weights + cache + activations + runtime
    weights      fast: the file, mapped and read in full.  exact: 4 bytes per parameter, and the file once in passing
    cache        2 * layers * kv_heads * head_dim * context * (fast: 2, exact: 4)
    activations  chunk * (8 * hidden + 3 * feed_forward) * 4 + 16 * vocabulary * 4
    runtime      Python with torch and the kernels

Speed, in tokens per second:

    generation   1 / (weights read per token / (bandwidth * GENERATION_SHARE) + layers * LAYER_SECONDS)
    prompt       1 / (operations per token / (matmul_flops * prompt_share))

Generating one token reads every weight once (of a mixture of experts the chosen ones, of the embedding one row unless
it is also the output matrix) and the cache of the tokens so far. A prompt token costs two operations per weight, the
output matrix aside, and attention over the tokens before it. Bandwidth and matrix speed are measured on this machine
in half a second; the shares are what `limpide bench` reached of them; benchmarks/fit_accuracy.py tells them.

What the constants stand on: SmolLM2 135M and Gemma 3 270M, `fast`, two cores of an AMD EPYC with VNNI, 2026-11-24;
without VNNI, one run of 2026-11-22. They hold for models whose blocks the kernels know and can multiply from: others
are slower, mixtures of experts by far. No run has checked the speeds of `exact`, for which the same shares are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Numerics
from limpide.hub.catalog import CATALOG, CatalogEntry, HubEntry
from limpide.hub.machine import Machine, measure_machine
from limpide.hub.places import offline_requested
from limpide.hub.reference import PREFIX, HubReference, cached, describe
from limpide.hub.resolve import local_model, where_is
from limpide.hub.shape import ModelShape, context_from_config, shape_from_config
from limpide.hub.store import Store

RUNTIME_BYTES = 405 << 20
PREFILL_CHUNK = 512
CACHE_VALUE_BYTES: dict[Numerics, int] = {"fast": 2, "exact": 4}
GENERATION_SHARE = 0.57
LAYER_SECONDS = 20e-6
PROMPT_SHARE = 1.2
PROMPT_SHARE_VNNI = 1.8
"""Above one: `matmul_flops` is of float32, and kernels multiply bytes."""
DEFAULT_CONTEXT = 4096
_COMFORTABLE = 0.9
"""Share of the available memory beyond which the system starts to push other things out."""

Verdict = Literal["yes", "tight", "no"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a model before it is loaded, perhaps before it is fetched."""

    name: str
    file_bytes: int
    read_bytes: int
    """Bytes of weights that one generated token needs."""
    shape: ModelShape | None
    """None if only the size is known; then the cache and the prompt's speed can't be predicted."""
    context: int | None
    download_bytes: int
    """0 if it is here."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The prediction for one model, one context and one machine. Bytes, and tokens per second."""

    name: str
    numerics: Numerics
    context: int
    fits: Verdict
    memory_bytes: int
    weights_bytes: int
    cache_bytes: int | None
    activation_bytes: int | None
    runtime_bytes: int
    memory_available: int
    largest_context: int | None
    """The longest context that fits comfortably, at most what the model was trained for."""
    generation_tokens_per_second: float
    """At the start of an answer."""
    generation_at_full_context: float | None
    prompt_tokens_per_second: float | None
    """Over a prompt of 512 tokens."""
    download_bytes: int
    machine: Machine


def fit(
    reference: str,
    *,
    context: int | None = None,
    numerics: Numerics = "fast",
    offline: bool = False,
    machine: Machine | None = None,
    store: Store | None = None,
) -> Fit:
    """Predict memory and speed of a model on this machine. Downloads no weights.

    Raises UnknownModel, ModelFileMissing, OfflineError, DownloadFailed, InvalidParameter, or what a damaged local file
    raises when its header is read.
    """
    candidate = look_at(reference, offline=offline or offline_requested(), store=store)
    longest = candidate.context
    if context is not None and (context < 1 or (longest is not None and context > longest)):
        raise InvalidParameter("context", context, f"1 to {longest} tokens" if longest else "at least 1 token")
    if context is None:
        context = min(DEFAULT_CONTEXT, longest or DEFAULT_CONTEXT)
    return predict(candidate, machine or measure_machine(), context=context, numerics=numerics)


def predict(candidate: Candidate, machine: Machine, *, context: int, numerics: Numerics = "fast") -> Fit:
    """The prediction itself: the formulas above, and nothing else."""
    shape, exact = candidate.shape, numerics == "exact"
    memory = memory_of(candidate, context=context, numerics=numerics)
    per_token = _cache_bytes_per_token(candidate, numerics)
    room = _room(machine.memory_available)
    largest = max(0, (room - memory.total + per_token * context) // per_token) if per_token else None
    if largest is not None and candidate.context is not None:
        largest = min(largest, candidate.context)
    read = 4 * shape.parameters if exact and shape else candidate.read_bytes
    return Fit(
        name=candidate.name,
        numerics=numerics,
        context=context,
        fits=verdict(memory.total, machine.memory_available),
        memory_bytes=memory.total,
        weights_bytes=memory.weights,
        cache_bytes=memory.cache if shape else None,
        activation_bytes=memory.activations if shape else None,
        runtime_bytes=RUNTIME_BYTES,
        memory_available=machine.memory_available,
        largest_context=largest,
        generation_tokens_per_second=_generation_speed(read, shape, machine),
        generation_at_full_context=_generation_speed(read + per_token * context, shape, machine) if shape else None,
        prompt_tokens_per_second=_prompt_speed(shape, machine) if shape else None,
        download_bytes=candidate.download_bytes,
        machine=machine,
    )


class Memory(NamedTuple):
    """Bytes that a model takes here."""

    weights: int
    cache: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, the runtime included."""
        return self.weights + self.cache + self.activations + RUNTIME_BYTES


def memory_of(candidate: Candidate, *, context: int, numerics: Numerics = "fast") -> Memory:
    """What a model with a full context takes; of one whose shape isn't known, the weights alone."""
    shape = candidate.shape
    if shape is None:
        return Memory(candidate.file_bytes, 0, 0)
    weights = candidate.file_bytes + (4 * shape.parameters if numerics == "exact" else 0)
    return Memory(weights, _cache_bytes_per_token(candidate, numerics) * context, _activation_bytes(shape))


def _cache_bytes_per_token(candidate: Candidate, numerics: Numerics) -> int:
    return candidate.shape.cache_values_per_token * CACHE_VALUE_BYTES[numerics] if candidate.shape else 0


def verdict(needed: int, available: int) -> Verdict:
    """Whether so many bytes fit into the memory that is free."""
    return "yes" if needed <= _room(available) else "tight" if needed <= available else "no"


def _room(available: int) -> int:
    return int(_COMFORTABLE * available)


def look_at(reference: str, *, offline: bool = False, store: Store | None = None) -> Candidate:
    """What can be known of a model without fetching it."""
    if entry := CATALOG.get(reference):
        here = where_is(entry, store or Store())
        if here is not None and isinstance(entry, HubEntry):
            return _look_into(entry.name, here)
        return of_catalog(entry, download=here is None)
    if reference.startswith(PREFIX):
        hub_reference = HubReference.parse(reference)
        if found := cached(hub_reference):
            return _look_into(str(hub_reference), found.path)
        remote = describe(hub_reference, offline=offline)
        return Candidate(str(hub_reference), remote.size_bytes, remote.size_bytes, None, None, remote.size_bytes)
    path = local_model(reference)
    return _look_into(path.name, path)


def of_catalog(entry: CatalogEntry, *, download: bool = True) -> Candidate:
    """What the catalog alone says of a model."""
    size = entry.size_bytes
    read = size if entry.shape is None else round(size * (1 - _idle_share(entry.shape)))
    return Candidate(entry.name, size, read, entry.shape, entry.context, size if download else 0)


def _look_into(name: str, path: Path) -> Candidate:
    """Read the header of a checkpoint that is here."""
    from limpide.formats import open_checkpoint

    with open_checkpoint(path) as checkpoint:
        tensors = checkpoint.tensors.values()
        total = sum(t.nbytes for t in tensors)
        parameters = sum(_count(t.shape) * _numbers_each(t.name, checkpoint.config) for t in tensors)
        shape = shape_from_config(checkpoint.config, parameters)
        experts = sum(t.nbytes for t in tensors if "exps" in t.name or ".experts." in t.name)
        used = shape.experts_used / shape.experts if shape and shape.experts and shape.experts_used else 1.0
        names = checkpoint.tensors.keys()
        untied = "output.weight" in names or "lm_head.weight" in names
        rows = ("token_embd.weight", "model.embed_tokens.weight") if untied else ()
        lookup = sum(t.nbytes for t in tensors if t.name in rows)
        context = context_from_config(checkpoint.config)
    return Candidate(name, total, round(total - lookup - experts * (1 - used)), shape, context, 0)


def _numbers_each(name: str, config: Mapping[str, Any]) -> int:
    """How many of a matrix's numbers one stored element of a tensor holds."""
    settings = config.get("quantization_config")
    bits = settings.get("bits") if isinstance(settings, Mapping) else None
    if name.endswith(".qweight"):
        return 32 // bits if bits in (4, 8) else 8
    return 2 if name.endswith("_blocks") else 1


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _idle_share(shape: ModelShape) -> float:
    """The part of the weights that a token doesn't need: the experts that are not chosen for it."""
    if not shape.experts or not shape.experts_used:
        return 0.0
    rest = shape.parameters - shape.vocabulary * shape.hidden
    routed = min(rest, 3 * shape.layers * shape.experts * shape.hidden * shape.feed_forward)
    return routed * (1 - shape.experts_used / shape.experts) / shape.parameters


def _activation_bytes(shape: ModelShape) -> int:
    chunk = PREFILL_CHUNK * (8 * shape.hidden + 3 * shape.feed_forward)
    return 4 * (chunk + 16 * shape.vocabulary)


def _generation_speed(read_bytes: float, shape: ModelShape | None, machine: Machine) -> float:
    layers = shape.layers if shape else 0
    return 1 / (read_bytes / (machine.read_bandwidth * GENERATION_SHARE) + layers * LAYER_SECONDS)


def _prompt_speed(shape: ModelShape, machine: Machine) -> float:
    head = shape.vocabulary * shape.hidden
    weights = shape.parameters - head - round(shape.parameters * _idle_share(shape))
    attention = 4 * shape.layers * shape.heads * shape.head_dim * PREFILL_CHUNK / 2
    return machine.matmul_flops * prompt_share(machine) / (2 * max(weights, 1) + attention)


def prompt_share(machine: Machine) -> float:
    """What prompts reach of the machine's `matmul_flops`."""
    return PROMPT_SHARE_VNNI if any(name.endswith("VNNI") for name in machine.isa) else PROMPT_SHARE
