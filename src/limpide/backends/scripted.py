"""A model that says what it is told to say, computed like any other: through the key-value cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.backends.bytes import ASSISTANT, BOS, END
from limpide.layers.kv import KVView

NextToken = Callable[[Sequence[int]], int]
"""All tokens so far to the next one."""

CERTAIN = 30.0
"""Logit of the scripted token; all others have 0."""


@dataclass(frozen=True, slots=True)
class ScriptedSpec:
    """What a backend has to know of a scripted model."""

    vocab_size: int
    context: int
    family: str = "scripted"
    kv_shapes: tuple[tuple[int, int, int], ...] = ((1, 1, 1),)
    state_shapes: tuple[()] = ()


class ScriptedModel:
    """Stores token ids as keys, reads its whole history back from the cache, and lets a script name the next token.

    So whatever the cache or the scheduler gets wrong changes what it says.
    """

    def __init__(self, next_token: NextToken, vocab_size: int) -> None:
        self._next_token = next_token
        self._vocab_size = vocab_size

    def forward(self, tokens: Tensor, positions: Tensor, kv: KVView, rows: Tensor | None = None) -> Tensor:
        """[T, 1]: the next token after each of the flat tokens [T], as a number; with `rows` after those alone."""
        ids = tokens.view(-1, 1, 1).float()
        kv.write(0, ids, positions.view(-1, 1, 1).float())
        wanted = set(range(len(tokens)) if rows is None else rows.tolist())
        named = torch.zeros(len(tokens), 1)
        for sequence, (start, end) in enumerate(zip(kv.query_starts[:-1], kv.query_starts[1:], strict=True)):
            keys, values = kv.read(0, sequence)
            history = [int(x) for x in keys.flatten().tolist()]
            if values.flatten().tolist() != list(range(len(history))):
                raise AssertionError("the cache returned positions out of order")
            for row in wanted.intersection(range(start, end)):
                named[row] = self._next_token(history[: len(history) - end + row + 1])
        return named if rows is None else named[rows]

    def logits(self, hidden: Tensor) -> Tensor:
        """float32 [R, vocab], all but certain of the scripted token."""
        rows = torch.zeros(hidden.shape[0], self._vocab_size)
        return rows.scatter_(1, hidden.long(), CERTAIN)


def reply_script(reply: Callable[[str], str], thinking: Callable[[str], str]) -> NextToken:
    """A script that answers the last question: its thinking if the turn was opened with `<think>`, then its reply.

    Both are asked for with the text before the assistant's turn. When its thinking is closed for it, it goes on with
    the reply like any well-trained model. Raw text without turns is continued with `reply` to the text up to there:
    as far as the text already ends with a beginning of that, with what follows.
    """

    def next_token(history: Sequence[int]) -> int:
        tokens = list(history)
        if ASSISTANT not in tokens:
            return _continue(bytes(t for t in tokens if t < BOS), reply)
        turn = len(tokens) - 1 - tokens[::-1].index(ASSISTANT)
        prompt = bytes(t for t in tokens[:turn] if t < BOS).decode(errors="replace")
        written = bytes(t for t in tokens[turn + 1 :] if t < BOS)
        answer = reply(prompt).encode()
        opened = b"<think>\n"
        if written.startswith(opened):
            thought = thinking(prompt).encode() + b"</think>\n\n"
            inside, closed, after = written[len(opened) :].partition(b"</think>")
            if not closed:
                return thought[len(inside)] if thought.startswith(inside) else thought[0]
            if closed and not after.endswith(b"\n\n") and not after.strip():
                return ord("\n")
            written = after.lstrip()
        return answer[len(written)] if len(written) < len(answer) else END

    return next_token


def _continue(text: bytes, reply: Callable[[str], str]) -> int:
    whole = reply(text.decode(errors="replace")).encode()
    for length in range(len(whole), -1, -1):
        if text.endswith(whole[:length]):
            return whole[length] if length < len(whole) else END
    raise AssertionError("every text ends with the empty one")
