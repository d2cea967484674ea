"""Versioned records of an evaluation: one manifest for a run, one record for each answer.

Scores, intervals, reports and cards are computed from these, and can be computed again by anybody who has them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Numerics
from limpide.core.results import to_json
from limpide.core.strict import plain, read_record


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What answers, as exactly as it can be known: two backends with the same hashes are the same model."""

    kind: str
    """How it is reached: "local", "http"."""
    engine: str
    """Name and version of what computes."""
    numerics: Numerics | None
    """None where another program computes."""
    weights_sha256: str | None
    tokenizer_sha256: str | None
    template_sha256: str | None


@dataclass(frozen=True, slots=True)
class RunManifest:
    """What was asked of what, and how. With it and the same model, every record of the run can be made again."""

    SCHEMA: ClassVar[str] = "limpide.run/1"

    run_id: str
    task: str
    task_version: str
    task_sha256: str
    """Of all items: what was asked and what it was graded by."""
    items: int
    """How many there are; each is answered `repeats` times."""
    file: str | None
    """Name of the user's file, for tasks that have one; its content is in `task_sha256`."""
    model: str
    architecture: str
    context: int
    backend: Fingerprint
    thinking: str
    """Position of the dial: a name, or a number of tokens."""
    sampling: Mapping[str, Any]
    """What shapes sampling, as the fields of Sampling; the seed is each answer's own, drawn from `seed`."""
    seed: int
    shots: int
    repeats: int
    limit: int | None
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    started_at: str
    """ISO 8601, UTC."""

    ABOUT_THE_MOMENT: ClassVar[frozenset[str]] = frozenset({"run_id", "started_at"})
    """What differs between two runs of the same thing."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"schema": self.SCHEMA, **plain(self)}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read what `as_dict` wrote. Raises InvalidParameter for another schema, missing, unknown or wrong fields."""
        return read_record(cls, _without_schema(data, cls.SCHEMA), where="manifest")

    def differences(self, other: RunManifest) -> Iterator[tuple[str, Any, Any]]:
        """Name, own value and other's value of whatever would make the records incomparable."""
        for name in (field.name for field in fields(self) if field.name not in self.ABOUT_THE_MOMENT):
            yield from _differences(name, plain(getattr(self, name)), plain(getattr(other, name)))


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One answer to one item, and what it was worth."""

    SCHEMA: ClassVar[str] = "limpide.item/1"

    item: str
    cluster: str
    """Items of one cluster share a source, so that they don't count as independent."""
    slice: str
    """Part of the task by which results can be told apart."""
    repeat: int
    """From 0."""
    prompt_sha256: str
    answer: str
    """What the model said; for multiple choice, the choice that it finds likeliest."""
    thinking: str
    tool_calls: tuple[Mapping[str, str], ...]
    """`name` and `arguments` of each call, as the model wrote them."""
    finish: str | None
    """Why the answer ended: "stop", "length", "tool_calls"; None where nothing was generated."""
    score: float | None
    """From 0 to 1; for perplexity nats of the whole passage. None if there was an error, and only then."""
    detail: Mapping[str, Any]
    """What the score is made of; each task says what is in it."""
    prompt_tokens: int
    cached_tokens: int
    thinking_tokens: int
    answer_tokens: int
    seconds: float
    """From its admission to its end, beside others of the same batch. 0 where items are scored together."""
    error: str | None
    """Name and text of what went wrong instead of an answer."""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.error is None):
            raise InvalidParameter("score", self.score, "a number, or else an error")
        if self.score is not None and not math.isfinite(self.score):
            raise InvalidParameter("score", self.score, "a finite number")

    @property
    def key(self) -> tuple[str, int]:
        """What makes it one of its kind within a run."""
        return self.item, self.repeat

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"schema": self.SCHEMA, **plain(self)}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read what `as_dict` wrote. Raises InvalidParameter for another schema, missing, unknown or wrong fields."""
        return read_record(cls, _without_schema(data, cls.SCHEMA))


def sha256_of(data: object) -> str:
    """Of plain data or dataclasses: of their JSON text."""
    return hashlib.sha256(to_json(data).encode()).hexdigest()


def _without_schema(data: object, schema: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidParameter("record", data, "a JSON object")
    if data.get("schema") != schema:
        raise InvalidParameter("schema", data.get("schema"), schema)
    return {name: value for name, value in data.items() if name != "schema"}


def _differences(name: str, mine: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(mine, dict) and isinstance(other, dict):
        for key in sorted(mine.keys() | other.keys()):
            yield from _differences(f"{name}.{key}", mine.get(key), other.get(key))
    elif mine != other:
        yield name, mine, other
