"""Proof that a walk's scores are those of each text computed by itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from limpide.core.scoring import Parity
from limpide.engine.texts import Text
from limpide.engine.walk import Walk

Alone = Callable[[Text], tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]
"""Log-probabilities and most likely tokens of one text, see `score_alone`."""


def prove(walk: Walk, alone: Alone, *, sample: int, seed: int) -> Parity:
    """Walk through all texts, and compare a seeded sample of them with what `alone` gives for it."""
    for _ in walk:
        pass
    texts: Sequence[Text] = walk.texts
    chosen = random.Random(seed).sample(range(len(texts)), min(sample, len(texts)))  # noqa: S311 - a sample, no secret
    largest, flips, tokens = 0.0, 0, 0
    for index in chosen:
        logprobs, best = alone(texts[index])
        largest = max(largest, float(np.abs(logprobs - walk.logprobs[index]).max()))
        flips += int((best != walk.best[index]).sum())
        tokens += len(best)
    return Parity(len(chosen), tokens, largest, flips)
