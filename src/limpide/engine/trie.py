"""All texts of a scoring run as one trie over tokens, and the order in which it is walked.

Sorted token sequences are a trie already: each one branches off the one before it after as many tokens as the two have
in common, so computing only what follows visits every node once, depth first. Nothing is ever needed again that is not
on the path from the root to the branch at hand, which is why the walk gets by with memory for the longest text and one
step, however large the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]
Lookup = tuple[int, int, int]
"""One number to look up: which of the run's texts, which of its scored tokens, and that token's id."""


@dataclass(slots=True)
class Branch:
    """A text in the trie. Its first `start` tokens lie on the path of the branch before it."""

    text: int
    """Which of the run's texts."""
    tokens: Tokens
    """What has to be computed: all but the last token, which is only looked up."""
    start: int
    lookups: dict[int, list[Lookup]] = field(default_factory=dict)
    """By position of this branch's own: what the logits there are wanted for, by it and by those that branch off."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens [start, stop) of a branch that one step computes."""

    branch: Branch
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Portion:
    """One step: pieces in the order of the walk, and the texts that are done when it is computed."""

    pieces: tuple[Piece, ...]
    done: tuple[int, ...]


class Trie:
    """Texts in the order in which they are computed.

    texts: (tokens, first scored position), the position from 1 to len(tokens) - 1.
    """

    def __init__(self, texts: Sequence[tuple[Sequence[int], int]]) -> None:
        arrays = [np.asarray(tokens, dtype=np.int32) for tokens, _ in texts]
        keys = [array[:-1].astype(">u4").tobytes() for array in arrays]  # compares as the tokens do
        self.branches: list[Branch] = []
        path: list[Branch] = []
        before = np.empty(0, dtype=np.int32)
        for text in sorted(range(len(texts)), key=keys.__getitem__):
            tokens = arrays[text][:-1]
            branch = Branch(text, tokens, _common(before, tokens))
            while path and path[-1].start >= branch.start:
                path.pop()
            path.append(branch)
            self.branches.append(branch)
            _enter(branch, path, arrays[text], texts[text][1])
            before = tokens

    @property
    def num_tokens(self) -> int:
        """Tokens that are computed: the trie's nodes."""
        return sum(len(branch.tokens) - branch.start for branch in self.branches)

    @property
    def longest(self) -> int:
        """Tokens of the longest path."""
        return max((len(branch.tokens) for branch in self.branches), default=0)

    @property
    def num_rows(self) -> int:
        """Positions whose logits are computed."""
        return sum(len(branch.lookups) for branch in self.branches)

    def portions(self, budget: int) -> Iterator[Portion]:
        """The walk in steps of `budget` tokens; the last has what is left. A branch may be cut between two."""
        pieces: list[Piece] = []
        done: list[int] = []
        left = budget
        for branch in self.branches:
            at, end = branch.start, len(branch.tokens)
            while at < end:
                if left == 0:
                    yield Portion(tuple(pieces), tuple(done))
                    pieces, done, left = [], [], budget
                stop = min(end, at + left)
                pieces.append(Piece(branch, at, stop))
                left -= stop - at
                at = stop
            done.append(branch.text)
        if pieces or done:
            yield Portion(tuple(pieces), tuple(done))


def _enter(branch: Branch, path: Sequence[Branch], tokens: Tokens, first: int) -> None:
    """Note a text's lookups with the branches that compute the positions: its own, or those it shares."""
    index = len(path) - 1
    for position in range(len(tokens) - 2, first - 2, -1):
        while path[index].start > position:
            index -= 1
        lookup = (branch.text, position + 1 - first, int(tokens[position + 1]))
        path[index].lookups.setdefault(position, []).append(lookup)


def _common(a: Tokens, b: Tokens) -> int:
    """How many leading tokens two sequences have in common."""
    count = min(len(a), len(b))
    different = np.flatnonzero(a[:count] != b[:count])
    return int(different[0]) if len(different) else count
