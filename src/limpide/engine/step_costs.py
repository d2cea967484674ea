"""What a step costs by the number of its rows, measured while it runs."""

from __future__ import annotations

from collections import deque
from statistics import median

_SAMPLES = 7
_LASTING = 512
"""Steps after which a measurement is forgotten that was not repeated: the context has grown, the machine is another."""
_GUESS = 0.15
"""What one more row costs, in steps of one row, as long as nobody knows."""


class StepCosts:
    """Seconds of steps that only decode, each row one token. In between, costs are interpolated.

    The first step of each number of rows is not counted: its kernels are compiled and recorded.
    """

    def __init__(self) -> None:
        self._samples: dict[int, deque[float]] = {}
        self._known: dict[int, float] = {}
        self._seen: dict[int, int] = {}
        self._num = 0

    def add(self, rows: int, seconds: float) -> None:
        """A step of so many rows took so long."""
        self._num += 1
        if rows in self._seen:
            samples = self._samples.setdefault(rows, deque(maxlen=_SAMPLES))
            samples.append(seconds)
            self._known[rows] = median(samples)
        self._seen[rows] = self._num
        for old in [each for each in self._samples if self._num - self._seen[each] > _LASTING]:
            del self._samples[old], self._known[old]

    def of(self, rows: int) -> float:
        """What such a step will take. Without any measurement, in steps of one row."""
        known = self._known
        if rows in known:
            return known[rows]
        below = max((each for each in known if each < rows), default=None)
        above = min((each for each in known if each > rows), default=None)
        if below is None or above is None:
            near = below or above
            return _guess(rows) * (known[near] / _guess(near) if near else 1.0)
        share = (rows - below) / (above - below)
        return known[below] + share * (known[above] - known[below])


def _guess(rows: int) -> float:
    return 1.0 + _GUESS * (rows - 1)
