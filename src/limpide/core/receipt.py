"""What was really done with a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Numerics = Literal["exact", "fast"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one parameter: applied as asked, clamped to `effective`, or refused; `why` says the reason."""

    status: Literal["applied", "clamped", "refused"]
    requested: Any
    effective: Any = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Every parameter's outcome, and what it takes to have the same answer again."""

    parameters: Mapping[str, Outcome]
    model: str
    weights_sha256: str | None
    tokenizer_sha256: str | None
    template_sha256: str | None
    engine: str
    """Name and version of what computed it."""
    numerics: Numerics | None
    """None if an endpoint does not say."""
    seed: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)
