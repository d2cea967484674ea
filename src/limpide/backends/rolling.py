"""Scores of long texts, put together from those of their windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from limpide.core.ports import Scored, Scores
from limpide.core.scoring import ScoringWork
from limpide.engine.texts import Text


class Rolling:
    """One score for each text that was cut into windows. Iterate, once, for (index of the text, its score)."""

    def __init__(self, windows: Sequence[Sequence[Text]], score: Callable[[Sequence[Text]], Scores]) -> None:
        self._owners = [(text, part) for text, parts in enumerate(windows) for part in range(len(parts))]
        self._parts: list[dict[int, Scored]] = [{} for _ in windows]
        self._counts = [len(parts) for parts in windows]
        self._scores = score(list(chain.from_iterable(windows)))

    @property
    def work(self) -> ScoringWork:
        """What all windows take."""
        return self._scores.work

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        yield from ((text, Scored((), True)) for text, count in enumerate(self._counts) if not count)
        for index, scored in self._scores:
            text, part = self._owners[index]
            parts = self._parts[text]
            parts[part] = scored
            if len(parts) == self._counts[text]:
                yield text, _joined([parts.pop(number) for number in range(self._counts[text])])


def _joined(parts: Sequence[Scored]) -> Scored:
    logprobs = tuple(chain.from_iterable(part.logprobs for part in parts))
    return Scored(logprobs, all(part.greedy for part in parts))
