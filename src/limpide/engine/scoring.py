"""How likely given tokens are after the tokens before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from limpide.core.events import Usage
from limpide.core.ports import Scored
from limpide.engine.sequence import Sequence as Line


class Scoring:
    """Owns a sequence whose tokens are all known; wants the log-probabilities of those from `start` on."""

    def __init__(self, number: int, tokens: Sequence[int], start: int, on_done: Callable[[], None]) -> None:
        self.torn = False
        self._targets = list(tokens)
        self._start = start
        self._on_done = on_done
        self._logprobs = np.zeros(len(tokens) - start)
        self._greedy = np.zeros(len(tokens) - start, dtype=bool)
        # The last token is only looked up, never computed.
        self.sequence = Line(number, self._targets[:-1], self, logits_from=start - 1)

    @property
    def usage(self) -> Usage:
        """All of it is prompt."""
        return Usage(len(self.sequence.tokens), self.sequence.cached_tokens or 0, 0, 0)

    def on_logits(self, position: int, logits: npt.NDArray[np.float32]) -> None:
        """Look the next tokens up. Writing the same values twice does no harm."""
        count = len(logits)
        targets = np.array(self._targets[position + 1 : position + 1 + count])
        rows = np.arange(count)
        normalisers = torch.logsumexp(torch.from_numpy(logits), -1).numpy()
        at = position + 1 - self._start
        self._logprobs[at : at + count] = logits[rows, targets] - normalisers
        self._greedy[at : at + count] = logits.argmax(axis=1) == targets

    def on_commit(self) -> bool:
        """Done when all tokens are computed."""
        if self.sequence.num_missing == 0:
            self.torn = True
            self.sequence.finished = True
            self._on_done()
            self.torn = False
        return self.sequence.finished

    def result(self) -> Scored:
        """One natural logarithm per token from `start` on."""
        return Scored(tuple(float(x) for x in self._logprobs), bool(self._greedy.all()))
