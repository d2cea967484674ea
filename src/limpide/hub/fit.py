"""Will a model run here, and how fast: predicted before the download.

Memory, in bytes:

    weights + cache + states + activations + runtime
    weights      fast: the file, mapped and read in full.  exact: 4 bytes per parameter, and the file once in passing
    cache        numbers kept per token * context * (fast: 2, exact: 4)
    states       of recurrent layers: 8 bytes per number, two sides of one sequence
    activations  chunk * (8 * hidden + 3 * feed_forward) * 4 + 16 * vocabulary * 4
    runtime      Python with torch and the kernels

A mixture of experts is mapped like any file, and a token wakes only the experts that are chosen for it: what it takes
at least is told too. Speed is `limpide.hub.speed`'s. Bandwidth and matrix speed are measured on this machine in half a
second. Where a model doesn't fit no speed is predicted: its weights would come from the disk for every token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from limpide.core.errors import InvalidParameter
from limpide.core.places import offline_requested
from limpide.core.receipt import Numerics
from limpide.hub.candidate import Candidate, look_at
from limpide.hub.machine import Machine, measure_machine
from limpide.hub.shape import ModelShape
from limpide.hub.speed import PREFILL_CHUNK, speed
from limpide.hub.store import Store

RUNTIME_BYTES = 405 << 20
CACHE_VALUE_BYTES: dict[Numerics, int] = {"fast": 2, "exact": 4}
STATE_VALUE_BYTES = 8
DEFAULT_CONTEXT = 4096
_COMFORTABLE = 0.9
"""Share of the available memory beyond which the system starts to push other things out."""

Verdict = Literal["yes", "tight", "no"]


@dataclass(frozen=True, slots=True)
class Fit:
    """The prediction for one model, one context and one machine. Bytes, and tokens per second."""

    name: str
    numerics: Numerics
    context: int
    fits: Verdict
    memory_bytes: int
    least_memory_bytes: int
    """What one token wakes: without the experts that are not chosen for it, which may stay on the disk."""
    weights_bytes: int
    size_is_estimate: bool
    cache_bytes: int | None
    """States of recurrent layers included."""
    activation_bytes: int | None
    runtime_bytes: int
    memory_available: int
    largest_context: int | None
    """The longest context that fits comfortably, at most what the model was trained for."""
    slowed: tuple[str, ...]
    """Why it goes through torch in part or in whole; empty where the kernels compute all of it."""
    generation_tokens_per_second: float | None
    """At the start of an answer. None if it doesn't fit."""
    generation_at_full_context: float | None
    prompt_tokens_per_second: float | None
    """Over a prompt of 512 tokens."""
    speed_share: tuple[float, float]
    """What the speeds may be multiplied by and still be right."""
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
    shape = candidate.shape
    memory = memory_of(candidate, context=context, numerics=numerics)
    per_token = _cache_bytes_per_token(candidate, numerics)
    room = _room(machine.memory_available)
    largest = max(0, (room - memory.total + per_token * context) // per_token) if per_token else None
    if largest is not None and candidate.context is not None:
        largest = min(largest, candidate.context)
    fits = verdict(memory.total, machine.memory_available)
    idle = max(0, candidate.file_bytes - candidate.work.read_bytes) if numerics == "fast" else 0
    at = speed(
        candidate.work,
        shape,
        machine,
        slowed=candidate.slowed,
        numerics=numerics,
        cache_bytes=per_token * context,
    )
    runs = fits != "no"
    return Fit(
        name=candidate.name,
        numerics=numerics,
        context=context,
        fits=fits,
        memory_bytes=memory.total,
        least_memory_bytes=memory.total - idle,
        weights_bytes=memory.weights,
        size_is_estimate=candidate.size_is_estimate,
        cache_bytes=memory.cache if shape else None,
        activation_bytes=memory.activations if shape else None,
        runtime_bytes=RUNTIME_BYTES,
        memory_available=machine.memory_available,
        largest_context=largest,
        slowed=candidate.slowed,
        generation_tokens_per_second=at.generation if runs else None,
        generation_at_full_context=at.generation_at_full_context if runs else None,
        prompt_tokens_per_second=at.prompt if runs else None,
        speed_share=at.share,
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
    cache = _cache_bytes_per_token(candidate, numerics) * context + STATE_VALUE_BYTES * shape.carried
    return Memory(weights, cache, _activation_bytes(shape))


def _cache_bytes_per_token(candidate: Candidate, numerics: Numerics) -> int:
    return candidate.shape.cache_values_per_token * CACHE_VALUE_BYTES[numerics] if candidate.shape else 0


def verdict(needed: int, available: int) -> Verdict:
    """Whether so many bytes fit into the memory that is free."""
    return "yes" if needed <= _room(available) else "tight" if needed <= available else "no"


def _room(available: int) -> int:
    return int(_COMFORTABLE * available)


def _activation_bytes(shape: ModelShape) -> int:
    chunk = PREFILL_CHUNK * (8 * shape.hidden + 3 * shape.feed_forward)
    return 4 * (chunk + 16 * shape.vocabulary)
