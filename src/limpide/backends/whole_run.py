"""Scores of a whole run on a model of this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch

from limpide.backends.rolling import Rolling
from limpide.cache import KVShape, LayerState
from limpide.core.errors import InvalidParameter
from limpide.core.ports import Scores
from limpide.core.scoring import Parity
from limpide.engine.apart import Apart, score_alone
from limpide.engine.engine import Engine
from limpide.engine.parity import prove
from limpide.engine.request import Model
from limpide.engine.texts import Text, windows
from limpide.engine.walk import Layout, Walk

DTYPES = {"exact": torch.float32, "fast": torch.float16}
"""What keys and values are kept in."""


class Spec(Protocol):
    """What has to be known of a model before it runs."""

    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def vocab_size(self) -> int: ...  # noqa: D102
    @property
    def context(self) -> int: ...  # noqa: D102
    @property
    def kv_shapes(self) -> Sequence[KVShape]: ...  # noqa: D102
    @property
    def state_shapes(self) -> Sequence[LayerState]: ...  # noqa: D102


class WholeRun:
    """Scores many texts in one go: in one walk through their trie, where the model's layers allow it.

    The keys and values of a walk are its own, so it disturbs no other request; it holds as many tokens as the engine's
    cache could, at most.
    """

    def __init__(self, model: Model, spec: Spec, engine: Engine, *, context: int, dtype: torch.dtype) -> None:
        self._model = model
        self._spec = spec
        self._engine = engine
        self._context = context
        self._dtype = dtype

    def scores(self, texts: Sequence[Text]) -> Scores:
        """Log-likelihood of tokens[start:] after tokens[:start], for each (tokens, start)."""
        if any(self._spec.state_shapes):
            self._check(texts)
            return Apart(self._engine.score, texts, self._engine.load.max_batch)
        return self._walk(texts)

    def rolling(self, texts: Sequence[Sequence[int]], *, window: int | None, stride: int | None) -> Scores:
        """Log-likelihood of all tokens of each text but the first, a window at a time."""
        limit = min(self._context, self._engine.capacity)
        window = _within("window", limit if window is None else window, 2, limit)
        stride = _within("stride", window - 1 if stride is None else stride, 1, window - 1)
        return Rolling([windows(tokens, window=window, stride=stride) for tokens in texts], self.scores)

    def prove(self, texts: Sequence[Text], *, sample: int, seed: int) -> Parity:
        """What a walk gives, against a sample of it computed the naive way."""
        if any(self._spec.state_shapes):
            raise InvalidParameter("model", self._spec.family, "one without recurrent layers, which share nothing")
        alone = partial(score_alone, self._model, kv_shapes=self._spec.kv_shapes, dtype=self._dtype)
        return prove(self._walk(texts), alone, sample=sample, seed=seed)

    def _walk(self, texts: Sequence[Text]) -> Walk:
        self._check(texts)
        return Walk(self._model, texts, Layout(self._spec.kv_shapes, self._dtype, self._engine.capacity))

    def _check(self, texts: Sequence[Text]) -> None:
        for tokens, start in texts:
            self._engine.check_scoring(tokens, start)


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidParameter(name, value, f"from {least} to {most}")
    return value
