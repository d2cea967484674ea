"""What thinking is worth: the same items with it and without, and the tokens that it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limpide.evals.statistics.paired import PairedDifference, paired_difference
from limpide.evals.statistics.permutation import PairedTest, paired_test


@dataclass(frozen=True, slots=True)
class ThinkingGain:
    """Thinking on (B) against thinking off (A), item by item."""

    score: PairedDifference
    tokens: PairedDifference
    """Tokens generated per item, thinking and answer together."""
    test: PairedTest

    @property
    def points_per_thousand_tokens(self) -> float | None:
        """Score gained, in hundredths, for a thousand tokens more; None if it costs none."""
        spent = self.tokens.difference
        return 100 * self.score.difference / (spent / 1000) if spent > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "score": self.score.as_dict(),
            "tokens": self.tokens.as_dict(),
            "test": self.test.as_dict(),
            "points_per_thousand_tokens": self.points_per_thousand_tokens,
        }


def thinking_gain(
    off: Sequence[float],
    on: Sequence[float],
    tokens_off: Sequence[float],
    tokens_on: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> ThinkingGain:
    """Compare thinking with not thinking; scores and tokens per item in the same order, repeats averaged before."""
    return ThinkingGain(
        score=paired_difference(off, on, clusters, confidence=confidence),
        tokens=paired_difference(tokens_off, tokens_on, clusters, confidence=confidence, bounded=False),
        test=paired_test(off, on, clusters, seed=seed),
    )
