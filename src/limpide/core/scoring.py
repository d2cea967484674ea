"""What scoring a whole run takes, and how far it is from scoring each request by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ScoringWork:
    """What a scoring run asks for, and what of it has to be computed. Counts of tokens are 0 if an endpoint scores."""

    requests: int
    distinct: int
    """Requests without those that are equal to another one."""
    tokens: int
    """Tokens that would be computed if each request were computed by itself."""
    unique_tokens: int
    """Tokens that are computed: each prefix that requests share, once."""
    scored: int
    """Tokens whose likelihood is asked for."""
    rows: int
    """Positions whose logits are computed: shared ones once."""

    def as_dict(self) -> Mapping[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Parity:
    """Scores of a run against those of a sample of its requests, each computed alone and in full."""

    sampled: int
    """Requests that were computed again."""
    tokens: int
    """Their scored tokens."""
    max_difference: float
    """Largest difference between two log-probabilities of a token, in nats."""
    flips: int
    """Scored positions at which another token is the most likely one."""

    def as_dict(self) -> Mapping[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)
