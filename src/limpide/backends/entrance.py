"""How many may wait for a model, and what those are told who come too many."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from limpide.core.errors import Overloaded

LONGEST_RETRY = 60
"""Seconds. Estimates beyond are no better than this one."""
UNKNOWN_RETRY = 5
"""Seconds, as long as no request was finished yet."""
REMEMBERED = 32
"""Ends of requests from which the pace is taken."""


class Entrance:
    """A bounded queue's door: lets requests in while fewer than `limit` are inside. For one event loop.

    inside: counts those that wait or run. clock: seconds, for tests.
    """

    def __init__(self, limit: int, inside: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._inside = inside
        self._clock = clock
        self._entering = 0
        self._ends: deque[float] = deque(maxlen=REMEMBERED)

    def __enter__(self) -> None:
        """Step in: what is done in the context leads to where `inside` counts. Raises Overloaded."""
        waiting = self._inside() + self._entering
        if waiting >= self._limit:
            raise Overloaded(f"{waiting} requests are waiting or running already", retry_after=self._retry(waiting))
        self._entering += 1

    def __exit__(self, *_: object) -> None:
        self._entering -= 1

    def left(self) -> None:
        """A request is finished."""
        self._ends.append(self._clock())

    def _retry(self, waiting: int) -> int:
        """Seconds until as many as wait now will be finished, at the pace of late, as a whole number from 1."""
        if len(self._ends) < 2:
            return UNKNOWN_RETRY
        seconds_each = (self._clock() - self._ends[0]) / (len(self._ends) - 1)
        return max(1, min(LONGEST_RETRY, math.ceil(waiting * seconds_each)))
