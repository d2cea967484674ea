"""How many requests a key has made in the last minute, and how many it has open."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from limpide.core.errors import LimitReached
from limpide.server.access.key import Key

MINUTE = 60.0


class Allowances:
    """Counts each key's requests in this process. For one event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._open: dict[str, int] = {}

    def take(self, key: Key) -> None:
        """Count a request that begins. Raises LimitReached, and counts nothing, if the key has no room for it."""
        rules, now = key.rules, self._clock()
        is_open = self._open.get(key.id, 0)
        if rules.concurrent is not None and is_open >= rules.concurrent:
            raise LimitReached(
                f"the key {key.name} has {is_open} requests open",
                retry_after=1,
                expected=f"at most {rules.concurrent} at the same time",
            )
        if rules.requests_per_minute is not None:
            self._count(key, rules.requests_per_minute, now)
        self._open[key.id] = is_open + 1

    def give_back(self, key: Key) -> None:
        """A request that was taken has ended."""
        left = self._open.pop(key.id, 0) - 1
        if left > 0:
            self._open[key.id] = left

    def _count(self, key: Key, most: int, now: float) -> None:
        recent = self._recent.setdefault(key.id, deque())
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        if len(recent) >= most:
            raise LimitReached(
                f"the key {key.name} has made {len(recent)} requests in the last minute",
                retry_after=max(1, math.ceil(recent[len(recent) - most] + MINUTE - now)),
                expected=f"at most {most} per minute",
            )
        recent.append(now)
