"""Scores all texts of a run in one walk through their trie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from limpide.cache import BranchCache, KVShape
from limpide.core.ports import Scored, ScoringWork
from limpide.engine.request import Model
from limpide.engine.runner import LOGITS_TILE
from limpide.engine.trie import Lookup, Portion, Trie

if TYPE_CHECKING:
    from limpide.layers.kv import KVView

WALK_TOKENS = 512
"""Tokens of a step: as many as make products run at a prompt's speed."""

Text = tuple[Sequence[int], int]
"""Tokens, and the position of the first one whose probability is wanted: from 1 to len(tokens)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a walk needs to know of its model."""

    kv_shapes: Sequence[KVShape]
    dtype: torch.dtype
    budget: int
    """Tokens of a step."""
    most_slots: int
    """Tokens that the walk may keep, if no text is longer; a step is smaller where they are few."""


class Walk:
    """Every token that texts share is computed once, and logits only where a token is looked up, once too.

    Equal texts are one text. Iterate for (index of the text, its score), in the order in which they are done.
    """

    def __init__(self, model: Model, texts: Sequence[Text], layout: Layout) -> None:
        self._model = model
        self._same: dict[tuple[tuple[int, ...], int], list[int]] = {}
        self._empty = [index for index, (tokens, start) in enumerate(texts) if start == len(tokens)]
        for index, (tokens, start) in enumerate(texts):
            if start < len(tokens):
                self._same.setdefault((tuple(tokens), start), []).append(index)
        distinct = list(self._same)
        self._trie = Trie(distinct)
        self._logprobs = [np.zeros(len(tokens) - start) for tokens, start in distinct]
        self._greedy = [np.zeros(len(tokens) - start, dtype=bool) for tokens, start in distinct]
        self._layout = layout
        total = sum(max(0, len(tokens) - 1) for tokens, start in texts if start < len(tokens))
        scored = sum(len(tokens) - start for tokens, start in texts)
        self.work = ScoringWork(len(texts), len(distinct), total, self._trie.num_tokens, scored, self._trie.num_rows)

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        for index in self._empty:
            yield index, Scored((), True)
        longest, layout = self._trie.longest, self._layout
        num_slots = min(longest + layout.budget, max(longest + 1, layout.most_slots))
        cache = BranchCache(layout.kv_shapes, num_slots, layout.dtype)
        same = list(self._same.values())
        for portion in self._trie.portions(num_slots - longest):
            if portion.pieces:
                self._compute(portion, cache)
            for text in portion.done:
                scored = Scored(tuple(self._logprobs[text].tolist()), bool(self._greedy[text].all()))
                for index in same[text]:
                    yield index, scored

    @torch.inference_mode()
    def _compute(self, portion: Portion, cache: BranchCache) -> None:
        """One step: forward pass over its pieces, then the logits of the rows that are wanted."""
        pieces = portion.pieces
        tokens = np.concatenate([piece.branch.tokens[piece.start : piece.stop] for piece in pieces])
        positions = np.concatenate([np.arange(piece.start, piece.stop) for piece in pieces])
        rows: list[int] = []
        lookups: list[list[Lookup]] = []
        first = 0
        for piece in pieces:
            for position in sorted(piece.branch.lookups):
                if piece.start <= position < piece.stop:
                    rows.append(first + position - piece.start)
                    lookups.append(piece.branch.lookups[position])
            first += piece.stop - piece.start
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
        rows = [row for row, wanted in enumerate(lookups) for _ in wanted]
        targets = [token for wanted in lookups for _, _, token in wanted]
        found = logits.numpy()[rows, targets] - normalisers[rows]
        for (text, at, token), row, logprob in zip((each for wanted in lookups for each in wanted), rows, found, strict=True):
            self._logprobs[text][at] = logprob
            self._greedy[text][at] = token == best[row]
