"""How many may wait for a model and how long, and what those are told who come too many."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from limpide.core.errors import InvalidParameter, Overloaded

LONGEST_RETRY = 60
"""Seconds. Estimates beyond are no better than this one."""
UNKNOWN_RETRY = 5
"""Seconds, as long as the pace is not known."""
BATCHES_WAITING = 4
"""Requests that may wait for each that a batch holds: whatever a model's pace, nobody is let in who would wait longer
than it takes to answer four, or five, like him."""
PACE_BATCHES = 4
"""Of how many batches the ends are remembered. Answers of one length end together, so one batch tells nothing."""


@dataclass(frozen=True, slots=True)
class QueueBound:
    """How long a model's queue may become. Raises InvalidParameter for numbers below zero.

    The number holds from the first request on, and bounds memory; the time is what matters to those who wait, but can
    only be estimated once requests were finished while others waited.
    """

    requests: int | None = None
    """That wait beside those that a batch holds; None: as many as four batches."""
    seconds: float = 60.0
    """That a request may have to wait, by the pace of late, before it is computed."""

    def __post_init__(self) -> None:
        for name, value in (("max_waiting", self.requests), ("max_wait", self.seconds)):
            if value is not None and not value >= 0:
                raise InvalidParameter(name, value, "0 or more")

    def waiting(self, seats: int) -> int:
        """Requests that may wait for a batch of so many."""
        return BATCHES_WAITING * seats if self.requests is None else self.requests


DEFAULT_BOUND = QueueBound()


class Entrance:
    """A bounded queue's door. For one event loop.

    seats: requests that are computed at once; the others wait. inside: counts those that wait or are computed. clock:
    seconds, for tests.
    """

    def __init__(
        self, seats: int, bound: QueueBound, inside: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seats = seats
        self._limit = seats + bound.waiting(seats)
        self._longest_wait = bound.seconds
        self._inside = inside
        self._clock = clock
        self._entering = 0
        self._ends: deque[float] = deque(maxlen=PACE_BATCHES * seats + 1)
        """When requests ended since somebody waits: while nobody does, ends tell how often is asked, and no pace."""

    def __enter__(self) -> None:
        """Step in: what is done in the context leads to where `inside` counts. Raises Overloaded."""
        inside = self._inside() + self._entering
        if inside >= self._limit:
            raise Overloaded(f"{inside} requests are waiting or running already", retry_after=self._retry(inside))
        wait = max(0, inside - self._seats + 1) * (self._seconds_each() or 0.0)
        if wait > self._longest_wait:
            raise Overloaded(
                f"{inside} requests are waiting or running already, and one more would wait about {math.ceil(wait)} s",
                retry_after=self._retry(inside),
            )
        self._entering += 1

    def __exit__(self, *_: object) -> None:
        self._entering -= 1

    def left(self) -> None:
        """A request is finished."""
        if self._inside() + self._entering < self._seats:
            self._ends.clear()
        else:
            self._ends.append(self._clock())

    def _seconds_each(self) -> float | None:
        """How often a request ends while others wait; None while that is not known."""
        if len(self._ends) < 2:
            return None
        return (self._clock() - self._ends[0]) / (len(self._ends) - 1)

    def _retry(self, inside: int) -> int:
        """Seconds until as many as are inside now will be finished, as a whole number from 1."""
        seconds_each = self._seconds_each()
        if seconds_each is None:
            return UNKNOWN_RETRY
        return max(1, min(LONGEST_RETRY, math.ceil(inside * seconds_each)))
