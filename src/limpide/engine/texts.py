"""Known texts whose tokens are to be scored."""

from __future__ import annotations

from collections.abc import Sequence

Text = tuple[Sequence[int], int]
"""Tokens, and the position of the first one whose probability is wanted: from 1 to len(tokens)."""


class Distinct:
    """A run's texts without those that are equal to another one, and without those that ask for nothing."""

    def __init__(self, texts: Sequence[Text]) -> None:
        same: dict[tuple[tuple[int, ...], int], list[int]] = {}
        self.empty: list[int] = []
        """Which of the run's texts ask for no token."""
        for index, (tokens, start) in enumerate(texts):
            if start == len(tokens):
                self.empty.append(index)
            else:
                same.setdefault((tuple(tokens), start), []).append(index)
        self.texts: list[Text] = list(same)
        self.indices: list[list[int]] = list(same.values())
        """For each of `texts`, which of the run's it stands for."""
        self.num_requests = len(texts)
        self.num_tokens = sum(len(indices) * (len(tokens) - 1) for (tokens, _), indices in same.items())
        """Tokens to compute if nothing were shared: a text's last one is only looked up."""
        self.num_scored = sum(len(indices) * (len(tokens) - start) for (tokens, start), indices in same.items())


def windows(tokens: Sequence[int], *, window: int, stride: int) -> list[Text]:
    """A long text in texts of at most `window` tokens, so that each token but the first is scored once.

    Each window scores `stride` tokens more, after as many of the tokens before them as fit. A large stride is quick; a
    small one gives each token at least `window - stride` tokens of context, once there are so many.
    """
    texts: list[Text] = []
    scored = 1
    while scored < len(tokens):
        stop = min(len(tokens), scored + (stride if texts else window - 1))
        first = max(0, stop - window)
        texts.append((tokens[first:stop], scored - first))
        scored = stop
    return texts
