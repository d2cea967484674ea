"""SentencePiece's BPE: the adjacent pair whose union has the best score is joined, leftmost first, until none is left.

Written here and not left to the `tokenizers` library, whose BPE wants a list of merges: a vocabulary of 262,144 pieces
would cost seconds to turn into one, and where two splits of one piece compete the list would not give the same result.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping, Sequence

SPACE = "▁"
_MAX_CACHED_WORDS = 1 << 16
_MAX_CACHED_LENGTH = 48
_MAX_UNSAFE = 64


class SentencePieceBPE:
    """Encoder of plain text.

    `pieces` maps each piece that merges may build to its id; `scores` is by id. A character that is no piece becomes
    its UTF-8 bytes by `byte_ids` (256 of them), or `unknown_id` (or nothing) if the vocabulary has no bytes.
    """

    def __init__(
        self,
        pieces: Mapping[str, int],
        scores: Sequence[float],
        *,
        byte_ids: Sequence[int] | None,
        unknown_id: int | None,
    ) -> None:
        self._pieces = pieces
        self._scores = scores
        self._byte_ids = byte_ids
        self._unknown_id = unknown_id
        self._cache: dict[str, tuple[int, ...]] = {}
        self._boundary = _word_boundary(pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of text whose spaces are already `SPACE`."""
        ids: list[int] = []
        for word in self._boundary.split(text) if self._boundary else (text,):
            if word:
                ids.extend(self._cache.get(word) or self._remember(word))
        return ids

    def _remember(self, word: str) -> tuple[int, ...]:
        ids = tuple(self._merge(word))
        if len(word) <= _MAX_CACHED_LENGTH:
            if len(self._cache) >= _MAX_CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def _merge(self, word: str) -> list[int]:
        """Join pairs in a doubly linked list of symbols; a symbol swallowed by its left neighbour becomes empty."""
        whole = self._pieces.get(word)
        if whole is not None and len(word) == 1:
            return [whole]
        symbols = list(word)
        count = len(symbols)
        after = list(range(1, count + 1))
        before = list(range(-1, count - 1))
        pieces, scores = self._pieces, self._scores
        agenda: list[tuple[float, int, str]] = []

        def consider(left: int, right: int) -> None:
            union = symbols[left] + symbols[right]
            number = pieces.get(union)
            if number is not None:
                heapq.heappush(agenda, (-scores[number], left, union))

        for i in range(count - 1):
            consider(i, i + 1)
        while agenda:
            _, left, union = heapq.heappop(agenda)
            right = after[left]
            # An entry is stale when either of its symbols has changed since: lengths add up only if neither has.
            if not symbols[left] or right >= count or symbols[left] + symbols[right] != union:
                continue
            symbols[left] = union
            symbols[right] = ""
            after[left] = following = after[right]
            if following < count:
                before[following] = left
                consider(left, following)
            if before[left] >= 0:
                consider(before[left], left)
        ids: list[int] = []
        for symbol in filter(None, symbols):
            number = pieces.get(symbol)
            if number is not None:
                ids.append(number)
            elif self._byte_ids is not None:
                ids.extend(self._byte_ids[byte] for byte in symbol.encode())
            elif self._unknown_id is not None:
                ids.append(self._unknown_id)
        return ids


def _word_boundary(pieces: Mapping[str, int]) -> re.Pattern[str] | None:
    """Where text may be cut without changing the result: before a space, unless a piece crosses that place.

    None if too many pieces cross.
    """
    crossed: set[str] = set()
    for piece in pieces:
        at = piece.find(SPACE, 1)
        while at > 0:
            if piece[at - 1] != SPACE:
                crossed.add(piece[at - 1])
            at = piece.find(SPACE, at + 1)
    if len(crossed) > _MAX_UNSAFE:
        return None
    return re.compile(f"(?<=[^{SPACE}{re.escape(''.join(sorted(crossed)))}])(?={SPACE})")
