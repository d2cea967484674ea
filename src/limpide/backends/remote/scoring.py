"""Scores of many requests, asked of an endpoint context by context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from limpide.core.ports import Scored, ScoreRequest
from limpide.core.scoring import ScoringWork

_AT_ONCE = 128
"""Continuations of one request to the endpoint, which takes 256."""

Score = Callable[[str, Sequence[str]], list[Scored]]


class RemoteScores:
    """What `score` gives for each request; equal ones are asked once, and those of one context together."""

    def __init__(self, score: Score, requests: Sequence[ScoreRequest]) -> None:
        self._score = score
        self._numbers: dict[str, dict[str, list[int]]] = {}
        for number, request in enumerate(requests):
            self._numbers.setdefault(request.context, {}).setdefault(request.continuation, []).append(number)
        distinct = sum(map(len, self._numbers.values()))
        self.work = ScoringWork(len(requests), distinct, tokens=0, unique_tokens=0, scored=0, rows=0)

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        for context, wanted in self._numbers.items():
            continuations = list(wanted)
            for first in range(0, len(continuations), _AT_ONCE):
                asked = continuations[first : first + _AT_ONCE]
                for continuation, scored in zip(asked, self._score(context, asked), strict=True):
                    for number in wanted[continuation]:
                        yield number, scored
