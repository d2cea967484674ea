"""Scores of texts that share nothing: of models whose layers carry a state, and of one text computed in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch

from limpide.cache import BLOCK_SIZE, KVShape, PagedCache
from limpide.core.ports import Scored
from limpide.core.scoring import ScoringWork
from limpide.engine.request import Model
from limpide.engine.runner import LOGITS_TILE
from limpide.engine.texts import Distinct, Text

if TYPE_CHECKING:
    from limpide.layers.kv import KVView


class Apart:
    """As `Walk`, for recurrent models: a state is that of one position, so only equal texts share anything.

    score: the scores of some texts; `batch` of them are asked for at a time.
    """

    def __init__(self, score: Callable[[Sequence[Text]], list[Scored]], texts: Sequence[Text], batch: int) -> None:
        self._score = score
        self._batch = batch
        self._distinct = distinct = Distinct(texts)
        self.work = ScoringWork(
            requests=distinct.num_requests,
            distinct=len(distinct.texts) + bool(distinct.empty),
            tokens=distinct.num_tokens,
            unique_tokens=sum(len(tokens) - 1 for tokens, _ in distinct.texts),
            scored=distinct.num_scored,
            rows=sum(len(tokens) - start for tokens, start in distinct.texts),
        )

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        yield from ((index, Scored((), True)) for index in self._distinct.empty)
        texts, indices = self._distinct.texts, self._distinct.indices
        for first in range(0, len(texts), self._batch):
            some = texts[first : first + self._batch]
            for same, scored in zip(indices[first:], self._score(some), strict=False):
                yield from ((index, scored) for index in same)


@torch.inference_mode()
def score_alone(
    model: Model, text: Text, *, kv_shapes: Sequence[KVShape], dtype: torch.dtype
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """One text the naive way: one pass in a cache of its own, and a softmax over the vocabulary at every position.

    Returns the log-probabilities of tokens[start:], and the most likely token at each of their positions.
    """
    tokens, start = text
    count = len(tokens)
    cache = PagedCache(kv_shapes, -(-count // BLOCK_SIZE), dtype=dtype, max_sequences=1)
    lease = cache.open()
    cache.reserve(lease, count)
    flat = torch.tensor(tokens, dtype=torch.int64)
    hidden = model.forward(flat, torch.arange(count), cast("KVView", cache.view([(lease, 0, count)])), None)
    logprobs, best = np.empty(count - 1), np.empty(count - 1, dtype=np.int64)
    for first in range(0, count - 1, LOGITS_TILE):
        rows = torch.log_softmax(model.logits(hidden[first : min(count - 1, first + LOGITS_TILE)]), -1)
        targets = flat[first + 1 :][: len(rows), None]
        logprobs[first : first + len(rows)] = rows.gather(1, targets)[:, 0].numpy()
        best[first : first + len(rows)] = rows.argmax(-1).numpy()
    return logprobs[start - 1 :], best[start - 1 :]
