"""Holm's correction: twenty tasks compared at 5 % each more often than not find a difference where none is."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values, in the order given: below α for any of them wrongly, with probability α at most (Holm 1979).

    It asks nothing of how the tests hang together and finds all that Bonferroni's correction finds, and more.
    """
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
