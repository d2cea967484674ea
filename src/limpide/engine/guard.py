"""Holds one answer to its grammar, from the end of the thinking on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from limpide.core.receipt import Outcome
from limpide.engine.constraint import Constraint, Mask
from limpide.engine.thinking import Gate, Phase, encode_inside
from limpide.text.grammar.answer import AnswerGrammar

if TYPE_CHECKING:
    from limpide.text import ThinkingPlan, Tokenizer

_BLANKS: Final = (" ", "\n", "\n\n")
"""What models write between thinking and answer. The gate shows none of it, so it is no part of the answer."""


class Guard:
    """Says which tokens may come next in one choice; thinking is free.

    Where the model itself decides whether it thinks, the marker that opens the thinking is allowed beside the answer.
    """

    def __init__(
        self,
        grammar: AnswerGrammar,
        begin: Callable[[], Constraint],
        gate: Gate,
        plan: ThinkingPlan | None,
        tokenizer: Tokenizer,
    ) -> None:
        self._grammar = grammar
        self._begin = begin
        self._constraint = begin()
        self._gate = gate
        self._opening = _opening(plan, tokenizer)
        self._num_opened = 0
        """Tokens of the opening marker that came."""
        self._astray = False
        """They can't be the answer, so the rest of the marker must follow."""
        tags = plan is not None and plan.channels is None
        self._blanks = _single_tokens(_BLANKS, tokenizer) if tags else []
        self._after_thinking = False

    @property
    def complete(self) -> bool:
        """Whether nothing can be added to the answer."""
        return not self._gate.thinking and not self._astray and self._constraint.complete

    def allowed(self) -> Mask | None:
        """bool [vocab]: what may come next; None is everything. Raises InvalidShape, see Constraint."""
        if self._gate.thinking:
            return None
        opening = self._next_of_opening()
        if self._astray and opening is not None:
            mask = np.zeros_like(self._constraint.allowed())
            mask[opening] = True
            return mask
        mask = self._constraint.allowed()
        if opening is not None:
            mask[opening] = True
        if self._after_thinking:
            mask[self._blanks] = True
        return mask

    def accept(self, token: int) -> None:
        """A chosen token, before the gate has seen it."""
        if self._gate.thinking:
            if self._num_opened:
                self._constraint = self._begin()  # what looked like an answer opened the thinking
            self._after_thinking, self._num_opened, self._astray = True, 0, False
            return
        blank, self._after_thinking = self._after_thinking and token in self._blanks, False
        if blank and not self._constraint.permits(token):
            return
        opens = token == self._next_of_opening()
        self._num_opened = self._num_opened + 1 if opens else 0
        if self._astray or (opens and not self._constraint.permits(token)):
            self._astray = True
            return
        self._constraint.accept(token)

    def num_permitted(self, tokens: Sequence[int]) -> int:
        """How many of these tokens may follow, one after the other. Where the grammar does not hold yet: all."""
        settled = self._gate.phase is Phase.ANSWER and not self._after_thinking and not self._astray
        return self._constraint.num_permitted(tokens) if settled else len(tokens)

    def outcomes(self) -> Mapping[str, Outcome]:
        """What the receipt should say at the end."""
        if not self._gate.thinking and not self._astray and self._constraint.may_end:
            return self._grammar.outcomes
        why = "the answer was cut short before it was whole"
        return {
            name: replace(each, status="clamped", effective="in part", why=f"{each.why}; {why}" if each.why else why)
            for name, each in self._grammar.outcomes.items()
        }

    def _next_of_opening(self) -> int | None:
        """The next token of the marker that opens the thinking, if all that came is its beginning."""
        if self._gate.phase is not Phase.OPENING or self._num_opened >= len(self._opening):
            return None
        return self._opening[self._num_opened]


def _opening(plan: ThinkingPlan | None, tokenizer: Tokenizer) -> Sequence[int]:
    """Tokens of the marker with which the model may open its thinking; without thinking it may not."""
    if plan is None or plan.budget == 0 or plan.starts_thinking or plan.open_marker is None:
        return ()
    return encode_inside(tokenizer, plan.open_marker)


def _single_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    encoded = [tokenizer.encode_part(text, first=False) for text in texts]
    return [
        ids[0]
        for text, ids in zip(texts, encoded, strict=True)
        if len(ids) == 1 and tokenizer.token_bytes(ids[0]) == text.encode()
    ]
