"""Which tokens stay eligible: top_k, top_p and min_p, exactly, without sorting the vocabulary.

Everything returns token ids in ascending order, so that one random number picks the same token wherever it is used.
Ties are broken by the lower id.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Ids = npt.NDArray[np.intp]

SORT_LIMIT = 4096
"""Up to here a plain sort is quicker than anything clever."""


def largest(values: npt.NDArray[np.float32], count: int) -> Ids:
    """Ids of the `count` largest values, in ascending order of id."""
    if count >= len(values):
        return np.arange(len(values))
    top = torch.topk(torch.from_numpy(values), count, sorted=False).values
    edge = top.min().item()
    above = np.flatnonzero(values > edge)
    at_edge = np.flatnonzero(values == edge)[: count - len(above)]
    return np.sort(np.concatenate((above, at_edge)))


def nucleus(weights: npt.NDArray[np.float64], share: float) -> Ids:
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
        mass = float(here[upper].sum())
        if held + mass >= target:
            candidates = candidates[upper]
        else:
            held += mass
            kept.append(candidates[upper])
            candidates = candidates[~upper]
    order = np.argsort(-weights[candidates], kind="stable")
    reached = held + np.cumsum(weights[candidates[order]])
    count = int(np.searchsorted(reached, target, side="left")) + 1
    kept.append(candidates[order[:count]])
    return np.sort(np.concatenate(kept))
