"""Versioned records of what was measured. Cards, tables and verdicts are rendered from these, never typed by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Numerics


@dataclass(frozen=True, slots=True)
class Measurement:
    """Repeated measurements of one quantity, in the unit that its field's name says."""

    samples: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples or not all(math.isfinite(sample) for sample in self.samples):
            raise InvalidParameter("samples", self.samples, "at least one finite number")

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return math.fsum(self.samples) / len(self.samples)

    @property
    def sd(self) -> float:
        """Sample standard deviation (n − 1 in the denominator, as llama-bench reports it); 0 for a single sample."""
        count = len(self.samples)
        if count < 2:
            return 0.0
        mean = self.mean
        return math.sqrt(math.fsum((sample - mean) ** 2 for sample in self.samples) / (count - 1))


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Speed and memory of one model on one machine, as `limpide bench` measures them.

    Speeds are tokens per second: `prompt` for a prompt of `prompt_tokens` random tokens (llama-bench's pp),
    `generation` for `generation_tokens` tokens after a prompt of one (its tg).
    """

    SCHEMA: ClassVar[str] = "limpide.bench/1"

    model: str
    architecture: str
    weights_sha256: str | None
    numerics: Numerics
    threads: int
    prompt_tokens: int
    generation_tokens: int
    prompt: Measurement
    generation: Measurement
    bytes_per_token: int
    """Bytes of weights that generating one token reads."""
    read_bandwidth: float
    """Bytes per second, measured in this run."""
    load_seconds: float
    peak_rss_bytes: int
    """Highest resident memory of the process; the memory-mapped weights count as far as they were read."""
    program_rss_bytes: int
    """Resident memory of the process before the model was opened: Python, torch and what else every model needs."""
    cache_bytes: int
    """Keys and values that the cache held at the end, those kept for requests to come included."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    measured_at: str
    """ISO 8601, UTC."""

    @property
    def bandwidth_fraction(self) -> float:
        """Share of the measured read bandwidth that generation reaches; 1.0 is all of it."""
        return self.bytes_per_token * self.generation.mean / self.read_bandwidth

    @property
    def model_rss_bytes(self) -> int:
        """What the model added to the process's memory at its peak: weights, cache, tokenizer, intermediate results."""
        return self.peak_rss_bytes - self.program_rss_bytes

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; the means stand at the top, under names that say their unit."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("prompt", "generation"):
            plain.pop(name)
        return {
            "schema": self.SCHEMA,
            **{name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()},
            "prompt_tokens_per_second": self.prompt.mean,
            "prompt_tokens_per_second_sd": self.prompt.sd,
            "prompt_samples": list(self.prompt.samples),
            "generation_tokens_per_second": self.generation.mean,
            "generation_tokens_per_second_sd": self.generation.sd,
            "generation_samples": list(self.generation.samples),
            "bandwidth_fraction": self.bandwidth_fraction,
            "model_rss_bytes": self.model_rss_bytes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote. Raises InvalidParameter for another schema or missing fields."""
        if data.get("schema") != cls.SCHEMA:
            raise InvalidParameter("schema", data.get("schema"), cls.SCHEMA)
        names: Sequence[str] = [field.name for field in fields(cls) if field.name not in ("prompt", "generation")]
        missing = [name for name in (*names, "prompt_samples", "generation_samples") if name not in data]
        if missing:
            raise InvalidParameter("record", sorted(data), f"also {', '.join(missing)}")
        return cls(
            **{name: data[name] for name in names},
            prompt=Measurement(tuple(data["prompt_samples"])),
            generation=Measurement(tuple(data["generation_samples"])),
        )


def to_json(data: object) -> str:
    """Plain data or dataclasses as JSON text: bytes as lists of numbers, numbers that JSON lacks refused."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: getattr(value, field.name) for field in fields(value)}  # type: ignore[arg-type]
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
