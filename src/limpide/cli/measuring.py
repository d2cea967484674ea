"""The measurement behind `limpide bench`: through the engine, with random tokens, nothing left out."""

from __future__ import annotations

import platform
import random
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from limpide import __version__
from limpide.core.errors import BadRequest, EngineStopped, InvalidParameter
from limpide.core.events import Finished, Usage
from limpide.core.results import BenchResult, Measurement
from limpide.core.sampling import Sampling
from limpide.model import Model

if TYPE_CHECKING:
    from torch import nn

    from limpide.engine.engine import Engine

Told = Callable[[str], None]


def measure(
    model: Model,
    *,
    program_rss_bytes: int,
    prompt_tokens: int,
    generation_tokens: int,
    repetitions: int,
    seed: int,
    tell: Told,
) -> BenchResult:
    """Measure a loaded model. Raises BadRequest for one that is not local.

    `program_rss_bytes` is from before it was opened; `tell` hears what is being done.

    Prompt: `prompt_tokens` random tokens, from admission to the first token. Generation: `generation_tokens` tokens
    after a prompt of one, from the first token to the last. One run of each comes first and is not counted.
    """
    from torch import nn

    from limpide.backends.local import LocalBackend
    from limpide.hub.machine import measure_machine

    backend = model.backend
    if not isinstance(backend, LocalBackend):
        raise BadRequest(f"{model.info.name} does not run in this process", expected="a local model")
    longest = max(prompt_tokens + 1, generation_tokens + 2)
    if longest > (context := backend.context):
        raise InvalidParameter("tokens", longest, f"at most the context of {context} tokens")
    vocabulary = backend.tokenizer.vocab_size
    draw = random.Random(seed)  # noqa: S311 - prompts to measure with, not secrets

    def prompt(length: int) -> list[int]:
        return [draw.randrange(vocabulary) for _ in range(length)]

    def prefill() -> float:
        return prompt_tokens / _run(backend.engine, prompt(prompt_tokens), 1).prefill_seconds

    def generate() -> float:
        return generation_tokens / _run(backend.engine, prompt(1), generation_tokens + 1).decode_seconds

    tell("warming up")
    prefill(), generate()
    tell(f"prompt of {prompt_tokens} tokens, {repetitions} times")
    prompt_speed = Measurement(tuple(prefill() for _ in range(repetitions)))
    tell(f"generation of {generation_tokens} tokens, {repetitions} times")
    generation_speed = Measurement(tuple(generate() for _ in range(repetitions)))
    tell("read bandwidth of this machine")
    peak = peak_rss_bytes()  # before the bandwidth is measured, whose buffer is not the model's
    machine = measure_machine()
    located, computing = model.located, backend.model
    if not isinstance(computing, nn.Module):
        raise BadRequest(f"{model.info.name} is scripted: it has no weights to read", expected="a real model")
    return BenchResult(
        model=model.info.name,
        architecture=model.info.architecture,
        weights_sha256=located.sha256 if located else None,
        numerics=backend.numerics,
        threads=_threads(),
        prompt_tokens=prompt_tokens,
        generation_tokens=generation_tokens,
        prompt=prompt_speed,
        generation=generation_speed,
        bytes_per_token=bytes_per_token(computing),
        read_bandwidth=machine.read_bandwidth,
        load_seconds=model.load_seconds,
        peak_rss_bytes=peak,
        program_rss_bytes=program_rss_bytes,
        cache_bytes=backend.engine.cache.used_bytes,
        machine=asdict(machine),
        versions=_versions(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _run(engine: Engine, prompt: list[int], tokens: int) -> Usage:
    from limpide.engine.request import EngineRequest

    sampling = Sampling(max_tokens=tokens, ignore_eos=True, seed=0)
    for event in engine.submit(EngineRequest(prompt, sampling)):
        if isinstance(event, Finished):
            if event.usage.generated_tokens != tokens:
                raise EngineStopped(f"{event.usage.generated_tokens} tokens came instead of {tokens}")
            return event.usage
    raise EngineStopped("the measurement broke off before its end")


def bytes_per_token(model: nn.Module) -> int:
    """Bytes of weights that computing one token reads: all but the embedding, of which it takes one row.

    A tied embedding counts once, as the output matrix; experts count by the share that is chosen.
    """
    from torch import Tensor

    from limpide.layers.embedding import Embedding
    from limpide.layers.moe import Experts, MoE, Stacked
    from limpide.quant import StoredMatrix

    read: dict[int, int] = {}
    experts = 0
    for module in model.modules():
        if isinstance(module, MoE):
            experts += module.experts.nbytes * module.spec.router.chosen // module.spec.router.experts
        if isinstance(module, Embedding | Experts | Stacked):
            continue
        for weight in (*module._parameters.values(), *vars(module).values()):
            if isinstance(weight, Tensor):
                read[weight.data_ptr()] = weight.numel() * weight.element_size()
            elif isinstance(weight, StoredMatrix):
                read[weight.address] = weight.nbytes
    return sum(read.values()) + experts


def program_rss_bytes() -> int:
    """Resident memory with everything loaded that a model needs, but no model."""
    import psutil
    import tokenizers  # noqa: F401

    from limpide.backends import local  # noqa: F401 - brings torch
    from limpide.kernels import library

    library.available()
    return int(psutil.Process().memory_info().rss)


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _versions() -> dict[str, str]:
    import torch

    return {"limpide": __version__, "torch": torch.__version__, "python": platform.python_version()}
