"""Scores all texts of a run in one walk through their trie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from limpide.cache import BranchCache, KVShape
from limpide.core.ports import Scored
from limpide.core.scoring import ScoringWork
from limpide.engine.request import Model
from limpide.engine.runner import LOGITS_TILE
from limpide.engine.texts import Distinct, Text
from limpide.engine.trie import Lookup, Portion, Trie

if TYPE_CHECKING:
    from limpide.layers.kv import KVView

STEP_TOKENS = 256
"""Tokens of a step: as many as make products run at a prompt's speed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a walk needs to know of its model."""

    kv_shapes: Sequence[KVShape]
    dtype: torch.dtype
    most_slots: int
    """Tokens that the walk may keep, if no text is longer; a step is smaller where they are few."""
    budget: int = STEP_TOKENS
    """Tokens of a step."""


class Walk:
    """Every token that texts share is computed once, and so are the logits of every position that is asked for.

    Equal texts are one text. Iterate, once, for (index of the text, its score), in the order in which they are done.
    """

    def __init__(self, model: Model, texts: Sequence[Text], layout: Layout) -> None:
        self._model = model
        self._layout = layout
        self._distinct = distinct = Distinct(texts)
        self._trie = trie = Trie(distinct.texts)
        lengths = [len(tokens) - start for tokens, start in distinct.texts]
        self.texts = distinct.texts
        """The distinct texts."""
        self.logprobs = [np.zeros(length) for length in lengths]
        """For each of them, what was found: log-probabilities of its scored tokens."""
        self.best = [np.zeros(length, dtype=np.int64) for length in lengths]
        """For each of them, the most likely token at each scored position."""
        self.work = ScoringWork(
            requests=distinct.num_requests,
            distinct=len(distinct.texts) + bool(distinct.empty),
            tokens=distinct.num_tokens,
            unique_tokens=trie.num_tokens,
            scored=distinct.num_scored,
            rows=trie.num_rows,
        )

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        yield from ((index, Scored((), True)) for index in self._distinct.empty)
        longest, layout = self._trie.longest, self._layout
        num_slots = min(longest + layout.budget, max(longest + 1, layout.most_slots))
        cache = BranchCache(layout.kv_shapes, num_slots, layout.dtype)
        for portion in self._trie.portions(num_slots - longest):
            if portion.pieces:
                self._compute(portion, cache)
            for text in portion.done:
                scored = self._result(text)
                yield from ((index, scored) for index in self._distinct.indices[text])

    def _result(self, text: int) -> Scored:
        tokens, start = self._distinct.texts[text]
        greedy = self.best[text].tolist() == list(tokens[start:])
        return Scored(tuple(self.logprobs[text].tolist()), greedy)

    @torch.inference_mode()
    def _compute(self, portion: Portion, cache: BranchCache) -> None:
        """One step: a forward pass over its pieces, then the logits of the rows that are wanted."""
        pieces = portion.pieces
        tokens = np.concatenate([piece.branch.tokens[piece.start : piece.stop] for piece in pieces])
        positions = np.concatenate([np.arange(piece.start, piece.stop) for piece in pieces])
        rows, lookups = _wanted(portion)
        view = cast("KVView", cache.step([(piece.start, piece.stop) for piece in pieces]))
        flat = torch.from_numpy(tokens.astype(np.int64))
        hidden = self._model.forward(flat, torch.from_numpy(positions), view, torch.tensor(rows, dtype=torch.int64))
        for start in range(0, len(rows), LOGITS_TILE):
            stop = start + LOGITS_TILE
            self._look_up(self._model.logits(hidden[start:stop]), lookups[start:stop])

    def _look_up(self, logits: Tensor, lookups: Sequence[Sequence[Lookup]]) -> None:
        """Log-probabilities of the wanted tokens after each row [R, vocab] of logits."""
        best = logits.argmax(-1).tolist()
        normalisers = torch.logsumexp(logits, -1).numpy()
        rows = logits.numpy()
        for row, wanted in enumerate(lookups):
            for text, at, token in wanted:
                self.logprobs[text][at] = rows[row, token] - normalisers[row]
                self.best[text][at] = best[row]


def _wanted(portion: Portion) -> tuple[list[int], list[list[Lookup]]]:
    """The flat rows whose logits a step needs, and what each is looked up for."""
    rows, lookups = [], []
    first = 0
    for piece in portion.pieces:
        for position, wanted in sorted(piece.branch.lookups.items()):
            if piece.start <= position < piece.stop:
                rows.append(first + position - piece.start)
                lookups.append(wanted)
        first += piece.stop - piece.start
    return rows, lookups
