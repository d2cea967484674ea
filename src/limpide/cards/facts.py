"""What the weights and the catalog say of a model, kept as evidence when its card is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from limpide.core.errors import InvalidParameter
from limpide.core.strict import plain, read_record


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """The tensors that are stored in one way."""

    name: str
    tensors: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LicenceFacts:
    """Terms that apply to the weights, as the catalog has them."""

    spdx: str
    name: str
    terms: str
    """Where they are published."""
    permissive: bool
    commercial: str
    obligations: tuple[str, ...]
    """In plain words, one sentence each."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model, as its file and the catalog describe it."""

    SCHEMA: ClassVar[str] = "limpide.model/1"

    name: str
    title: str
    publisher: str | None
    container: str
    architecture: str
    layers: int | None
    hidden: int | None
    vocabulary: int | None
    experts: int | None
    parameters: int | None
    context: int | None
    formats: tuple[StoredFormat, ...]
    """Largest first."""
    weights_sha256: str
    licences: tuple[LicenceFacts, ...]
    """Empty if the catalog does not know the model."""
    stated_licence: str | None
    """What the weights' own metadata say."""
    made_with: str
    """Name and version of the program that read the weights."""

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(each.bytes for each in self.formats)

    def differences(self, other: ModelFacts) -> Iterator[tuple[str, Any, Any]]:
        """Name, own value and other's of what the weights themselves say: not of names, and not of the catalog."""
        for name in OF_THE_WEIGHTS:
            mine, others = plain(getattr(self, name)), plain(getattr(other, name))
            if mine != others:
                yield name, mine, others

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"schema": self.SCHEMA, **plain(self)}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read what `as_dict` wrote. Raises InvalidParameter for another schema, missing, unknown or wrong fields."""
        if not isinstance(data, Mapping) or data.get("schema") != cls.SCHEMA:
            raise InvalidParameter("model", "something else", cls.SCHEMA)
        return read_record(cls, {name: value for name, value in data.items() if name != "schema"}, where="model")


OF_THE_WEIGHTS = (
    "weights_sha256",
    "container",
    "architecture",
    "layers",
    "hidden",
    "vocabulary",
    "experts",
    "parameters",
    "context",
    "formats",
)
