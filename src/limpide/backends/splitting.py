"""Where a continuation begins among the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence

from limpide.core.errors import EmptyPrompt
from limpide.core.ports import ScoreRequest
from limpide.text import Tokenizer


def split_continuation(tokenizer: Tokenizer, context: str, continuation: str) -> tuple[list[int], int]:
    """Tokens of context and continuation, and the index at which the continuation begins.

    They are encoded together. Where the border falls inside a token, the continuation begins before it, so that none of
    its characters is left out. Without a context, the token that begins or ends texts stands in for one.
    """
    return _split(tokenizer, tokenizer.encode(context, bos=True), context + continuation)


def split_all(tokenizer: Tokenizer, requests: Sequence[ScoreRequest]) -> list[tuple[list[int], int]]:
    """`split_continuation` of each request. What several have in front of them is encoded once for all of them."""
    contexts = {context: tokenizer.encode(context, bos=True) for context in {each.context for each in requests}}
    return [_split(tokenizer, contexts[each.context], each.context + each.continuation) for each in requests]


def _split(tokenizer: Tokenizer, before: Sequence[int], text: str) -> tuple[list[int], int]:
    whole = tokenizer.encode(text, bos=True)
    start = 0
    while start < min(len(whole), len(before)) and whole[start] == before[start]:
        start += 1
    if start == 0:
        first = tokenizer.bos_id if tokenizer.bos_id is not None else min(tokenizer.eos_ids, default=None)
        if first is None:
            raise EmptyPrompt("there is no context to score after", expected="some text before the continuation")
        return [first, *whole], 1
    return whole, start
