"""What may come next, looked up in what came before (prompt lookup decoding, Saxena 2023)."""

from __future__ import annotations

from collections.abc import Sequence

NGRAM = 3
"""Tokens that have to be the same for a place to count as met before."""
_PLACES = 8
"""Of one n-gram's places, how many are remembered: the latest."""
_LONGEST = 32
"""Matches are not followed back any further."""


class Lookup:
    """An index of one text's n-grams that grows with it.

    A step costs a few dictionary look-ups, the first one a pass over the prompt.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[int, ...], list[int]] = {}
        """N-gram to positions behind it, in ascending order."""
        self._num_indexed = NGRAM

    def find(self, tokens: Sequence[int]) -> tuple[int, int]:
        """The place that looks most like the end of `tokens`: (position behind it, tokens that agree before it).

        (0, 0) if there is none. `tokens` is the text of the last call, grown.
        """
        end = len(tokens)
        for stop in range(self._num_indexed, end):  # not the end itself: it would find itself
            places = self._places.setdefault(tuple(tokens[stop - NGRAM : stop]), [])
            places.append(stop)
            del places[:-_PLACES]
        self._num_indexed = max(self._num_indexed, end)
        best, longest = 0, 0
        for place in reversed(self._places.get(tuple(tokens[max(0, end - NGRAM) : end]), ())):
            length = _agreement(tokens, place, end)
            if length > longest:
                best, longest = place, length
        return best, longest


def _agreement(tokens: Sequence[int], place: int, end: int) -> int:
    """How many tokens before `place` are those before `end`; known of the first NGRAM."""
    length = NGRAM
    while length < min(_LONGEST, place) and tokens[place - length - 1] == tokens[end - length - 1]:
        length += 1
    return length


def continuation(tokens: Sequence[int], place: int, count: int) -> list[int]:
    """`count` tokens from `place` on; where the text ends, it goes on with what was just taken, as loops do."""
    found = list(tokens[place : place + count])
    period = len(tokens) - place
    while len(found) < count:
        found.append(found[-period])
    return found
