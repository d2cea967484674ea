"""Whose turn it is among clients that wait."""

from __future__ import annotations

from collections.abc import Iterable


class Rounds:
    """Numbers requests so that, served in the order of their numbers, clients take turns.

    In each round every client has one request: its next one goes into the round after that of its last, and nobody
    joins a round that has begun. So who asks for much waits for himself; others are let in before him once a round,
    from the one that has begun to his own. (Start-time fair queueing of Goyal, Vin and Cheng, 1996, with requests of
    equal cost.)
    """

    def __init__(self) -> None:
        self._now = 0
        """The last round of which somebody was served."""
        self._last: dict[str, int] = {}
        """Each waiting client's last round; those that have begun don't matter any more."""

    def draw(self, client: str) -> int:
        """The round of a client's new request."""
        self._last[client] = turn = max(self._now, self._last.get(client, 0)) + 1
        return turn

    def serve(self, client: str, turn: int) -> None:
        """A request is let in."""
        self._now = max(self._now, turn)
        if self._last.get(client, turn) <= self._now:
            self._last.pop(client, None)

    def withdraw(self, client: str, turns: Iterable[int]) -> None:
        """A request was given up; `turns` are the client's that still wait."""
        last = max(turns, default=0)
        if last > self._now:
            self._last[client] = last
        else:
            self._last.pop(client, None)

    def check_integrity(self, waiting: Iterable[tuple[str, int]]) -> None:
        """AssertionError unless what is remembered are the last rounds of (client, turn) that wait."""
        last: dict[str, int] = {}
        for client, turn in waiting:
            if turn > self._now:
                last[client] = max(turn, last.get(client, 0))
        if last != {client: turn for client, turn in self._last.items() if turn > self._now}:
            raise AssertionError("a client's last round is wrong")
