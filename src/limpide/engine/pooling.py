"""The mean of what a model makes of a text's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from limpide.core.events import Usage
from limpide.engine.sequence import Sequence as Line


class Pooling:
    """Owns a sequence whose tokens are all known; wants the hidden states after each of them, from the first on.

    So nothing may come from the cache, which has keys and values but no hidden states: `logits_from=0` says that.
    They are added up one by one in float64, so that the result is the same however a step cuts the text.
    """

    def __init__(self, number: int, tokens: Sequence[int], on_done: Callable[[], None]) -> None:
        self.torn = False
        self._on_done = on_done
        self._total: npt.NDArray[np.float64] | None = None
        """Of the positions that are committed."""
        self._next: npt.NDArray[np.float64] | None = None
        """With those of the step that runs."""
        self.sequence = Line(number, list(tokens), self, logits_from=0)

    @property
    def usage(self) -> Usage:
        """All of it is prompt."""
        return Usage(len(self.sequence.tokens), self.sequence.cached_tokens or 0, 0, 0)

    def on_hidden(self, position: int, hidden: npt.NDArray[np.float32]) -> None:
        """Hidden states [count, width] after the final norm, of all tokens that a step computes, from `position` on.

        May come twice for the same positions, and from the first position again after the sequence was preempted.
        """
        total = np.zeros(hidden.shape[1])
        if position > 0 and self._total is not None:
            total += self._total
        for row in hidden:
            total += row
        self._next = total

    def on_commit(self) -> bool:
        """Done when all tokens are computed."""
        self._total = self._next
        if self.sequence.num_missing == 0:
            self.torn = True
            self.sequence.finished = True
            self._on_done()
            self.torn = False
        return self.sequence.finished

    def result(self) -> npt.NDArray[np.float32]:
        """float32 [width] of length 1: the mean's direction. Zeros if there is none."""
        if self._total is None:
            raise AssertionError("nothing was computed")
        length = float(np.linalg.norm(self._total))
        return (self._total / (length or 1.0)).astype(np.float32)
