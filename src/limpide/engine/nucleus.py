"""Which tokens stay eligible: top_k, top_p and min_p, exactly, without sorting the vocabulary.

Everything returns token ids in ascending order, so that one random number picks the same token wherever it is used.
Ties are broken by the lower id.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]

SORT_LIMIT = 4096
"""Up to here a plain sort is quicker than anything clever."""
STRETCH = 256


def largest(values: Row, count: int) -> Ids:
    """Ids of the `count` largest values, in ascending order of id."""
    size = len(values)
    if count >= size:
        return np.arange(size)
    # The values in groups: as many groups have a maximum of at least the count-th largest of these maxima, so no value
    # below that one is among the largest. What is left is little more than `count` values.
    groups = max(count, min(size // 32, 16 * count))
    height = size // groups
    maxima = values[: height * groups].reshape(height, groups).max(axis=0)
    bound = np.partition(maxima, groups - count)[groups - count]
    candidates = np.flatnonzero(values >= bound)
    if len(candidates) > count:
        here = values[candidates]
        edge = np.partition(here, len(here) - count)[len(here) - count]
        above = candidates[here > edge]
        at_edge = candidates[here == edge][: count - len(above)]
        candidates = np.sort(np.concatenate((above, at_edge)))
    return candidates


def nucleus(weights: Row | Weights, share: float) -> Ids:
    """Smallest set of the heaviest entries that holds at least `share` of all weight, as ascending indices."""
    total = float(weights.sum())
    target = share * total
    # What is lighter than this weighs, all together, less than what may be left out.
    candidates = np.flatnonzero(weights >= (1.0 - share) * total / len(weights))
    kept: list[Ids] = []
    held = 0.0
    while len(candidates) > SORT_LIMIT:
        here = weights[candidates]
        upper = here > here.mean()
        if not upper.any():
            break  # all equal: the stable order below takes the lowest ids
        mass = float(here[upper].sum(dtype=np.float64))
        if held + mass >= target:
            candidates = candidates[upper]
        else:
            held += mass
            kept.append(candidates[upper])
            candidates = candidates[~upper]
    here = weights[candidates].astype(np.float64)
    order = np.argsort(-here, kind="stable")
    count = int(np.searchsorted(held + np.cumsum(here[order]), target, side="left")) + 1
    kept.append(candidates[order[:count]])
    return np.sort(np.concatenate(kept))


def pick(weights: Row | Weights, uniform: float) -> int:
    """Index that a uniform number from [0, 1) falls on when the weights lie end to end. Never one whose weight is 0."""
    first, point = 0, None
    if len(weights) > 4 * STRETCH:  # find the stretch first, then the place in it
        sums = np.add.reduceat(weights, np.arange(0, len(weights), STRETCH), dtype=np.float64)
        stretch, point = _place(sums, None, uniform)
        first = stretch * STRETCH
        weights = weights[first : first + STRETCH]
    return first + _place(weights, point, uniform)[0]


def _place(weights: Row | Weights, point: float | None, uniform: float) -> tuple[int, float]:
    """Where `point`, or else the share `uniform` of the sum, falls; and how far into that entry."""
    ends = np.cumsum(weights, dtype=np.float64)
    if point is None:
        point = uniform * float(ends[-1])
    index = int(np.searchsorted(ends, point, side="right"))
    if index == len(ends):  # only by rounding
        index = int(np.flatnonzero(weights)[-1])
    return index, max(0.0, point - float(ends[index] - weights[index]))
