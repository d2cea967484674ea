"""Guesses of a smaller model that speaks the same tokens."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import torch

from limpide.cache import Lease, PagedCache
from limpide.engine.choice import Choice
from limpide.engine.drafts import Evidence, Track
from limpide.engine.request import Model
from limpide.layers.kv import KVView

MAX_LINES: Final = 4
"""Texts that it keeps in its cache; for more at once guessing does not pay."""
_EXPECTED: Final = 0.7
_RETRY: Final = 64
"""Steps without a draft after which it is tried again."""
_CHUNK: Final = 512


class DraftModel:
    """A drafter that computes: it reads each line's text, and goes on with it one token at a time.

    It picks its tokens with the line's own sampler, so with the random numbers that the real ones are drawn with: where
    the two models agree, so do their tokens.
    """

    def __init__(self, model: Model, cache: PagedCache, *, context: int, name: str) -> None:
        self.name = name
        self.seconds = 0.0
        self._model = model
        self._cache = cache
        self._context = context
        self._held: OrderedDict[int, _Held] = OrderedDict()

    def expect(self, choice: Choice, track: Track) -> float:
        """See Drafter."""
        evidence = choice.drafting
        if not isinstance(evidence, Evidence):
            evidence = choice.drafting = Evidence(_EXPECTED)
        if track.passed >= _RETRY:
            evidence.reset()
            track.passed = 0
        track.expect(evidence, None)
        return evidence.chance

    def draft(self, choice: Choice, count: int) -> Sequence[int]:
        """See Drafter. Nothing where the text is too long for it."""
        tokens = choice.sequence.tokens
        end = len(tokens) + count
        held = self._hold(choice.sequence.id)
        if end > self._context or not self._reserve(held, end):
            return ()
        start = min(_common(held.tokens, tokens), len(tokens) - 1)
        held.tokens = held.tokens[:start]
        caught_up = len(tokens) - start <= _CHUNK // 16
        began = time.perf_counter()
        text = list(tokens)
        for ahead in range(count):
            text.append(choice.guess(self._after(held, text), ahead))
        if caught_up:
            seconds = (time.perf_counter() - began) / count
            self.seconds = 0.8 * self.seconds + 0.2 * seconds if self.seconds else seconds
        return text[len(tokens) :]

    def _after(self, held: _Held, text: list[int]) -> npt.NDArray[np.float32]:
        """Logits after the text, of which the held part is computed already."""
        with torch.inference_mode():
            while True:
                start, end = len(held.tokens), min(len(text), len(held.tokens) + _CHUNK)
                tokens = torch.tensor(text[start:end])
                view = cast("KVView", self._cache.view([(held.lease, start, end - start)]))
                last = torch.tensor([end - start - 1])
                hidden = self._model.forward(tokens, torch.arange(start, end), view, last)
                held.tokens += text[start:end]
                if end == len(text):
                    logits: npt.NDArray[np.float32] = self._model.logits(hidden)[0].numpy()
                    return logits

    def _hold(self, line: int) -> _Held:
        held = self._held.get(line)
        if held is None:
            if len(self._held) >= MAX_LINES:
                self._drop_oldest()
            held = self._held[line] = _Held(self._cache.open())
        self._held.move_to_end(line)
        return held

    def _reserve(self, held: _Held, length: int) -> bool:
        while not self._cache.reserve(held.lease, length):
            if len(self._held) == 1:
                return False
            self._drop_oldest()
        return True

    def _drop_oldest(self) -> None:
        _, dropped = self._held.popitem(last=False)
        self._cache.close(dropped.lease)


@dataclass(slots=True)
class _Held:
    """A line's blocks, and the tokens that are computed in them."""

    lease: Lease
    tokens: list[int] = field(default_factory=list)


def _common(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """How many leading tokens are the same."""
    least = min(len(ours), len(theirs))
    if ours[:least] == theirs[:least]:
        return least
    return next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
