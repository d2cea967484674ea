"""`perplexity`: how likely a model finds a text of the user's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from limpide.core.errors import InvalidDataset, InvalidParameter
from limpide.core.ports import Answer
from limpide.evals.task import Grade, Item, TaskOptions
from limpide.evals.userfile import read_text

PASSAGE = 1500
"""Characters of a passage, to the end of the word: some 400 tokens, less than what any model holds."""
CONTEXT = 1500
"""Characters before it that the model reads first, so that few tokens are judged without any."""


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Nats of every token of a text, each scored once, after at least `CONTEXT` characters where there are so many.

    The text is cut by characters, not tokens, so that models with different tokenizers are asked the same and can be
    compared, in bits per byte. One run's score is exp(nats / tokens) over all passages.
    """

    name: str = "perplexity"
    version: str = "1"
    about: str = "how likely a text of yours is: --file TEXT; perplexity per token and bits per byte"
    kind: Literal["perplexity"] = "perplexity"
    shots: int | None = None
    needs_file: bool = True
    max_tokens: int = 1

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Passages in the order of the text. Raises InvalidDataset for one that is empty."""
        if options.file is None:
            raise InvalidParameter("file", None, "a file of text", hint="--file TEXT")
        text = read_text(options.file)
        if not text.strip():
            raise InvalidDataset(f"{options.file} is empty", expected="some text")
        return list(_passages(text))[: options.limit]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """Nothing is generated."""
        raise AssertionError("passages are graded by likelihood")


def _passages(text: str) -> Iterator[Item]:
    """Passages begin with the white space that parts words, where tokenizers put it."""
    start = 0
    while start < len(text):
        cut = re.compile(r"\s+(?=\S)").search(text, start + PASSAGE)
        # A text without spaces is cut where it must be.
        end = min(cut.start() if cut else len(text), start + 2 * PASSAGE)
        if len(text) - end < PASSAGE // 4:
            end = len(text)
        # One file is one source: all of its passages are one cluster but for their distance, so each counts as its own.
        yield Item(
            id=f"at-{start}",
            cluster=f"at-{start}",
            slice="all",
            context=text[max(0, start - CONTEXT) : start],
            text=text[start:end],
        )
        start = end
