"""Which tokens a grammar allows next, with llguidance (https://github.com/guidance-ai/llguidance)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from limpide.core.errors import InvalidShape
from limpide.text.grammar.checking import trouble_with

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

    from limpide.text.tokenizer import Tokenizer

Mask = npt.NDArray[np.bool_]

_CACHED_GRAMMARS: Final = 32
_MAX_ITEMS: Final = 8192
"""Ways in which the parser may be going on at once; an object of n properties that may be left out takes 4 n."""

_WHAT: Final = {"shape": "the shape", "tools": "the form of the tool calls"}


class Constraint(Protocol):
    """Follows one text through a grammar, token by token."""

    def allowed(self) -> Mask:
        """bool [vocab]: what may come next. The end of the turn is among it where the text may end. Changes nothing."""

    def permits(self, token: int) -> bool:
        """Whether this token may come next."""

    def num_permitted(self, tokens: Sequence[int]) -> int:
        """How many of these tokens may come next, one after the other."""

    def accept(self, token: int) -> None:
        """This token came. Raises InvalidShape if it may not."""

    @property
    def complete(self) -> bool:
        """Whether nothing but the end of the turn can follow."""

    @property
    def may_end(self) -> bool:
        """Whether the text so far is whole."""


class GrammarConstraint:
    """A place in a compiled grammar. parameter: what its errors name as their cause."""

    def __init__(self, matcher: LLMatcher, vocab_size: int, parameter: str = "shape") -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._parameter = parameter

    def allowed(self) -> Mask:
        """See Constraint. Raises InvalidShape where the grammar needs more states than are allowed."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        return np.unpackbits(bits, count=self._vocab_size, bitorder="little").view(np.bool_)

    def permits(self, token: int) -> bool:
        """See Constraint."""
        return bool(self._matcher.validate_tokens([token]))

    def num_permitted(self, tokens: Sequence[int]) -> int:
        """See Constraint."""
        return self._matcher.validate_tokens(list(tokens))

    def accept(self, token: int) -> None:
        """See Constraint."""
        self._matcher.consume_token(token)
        self._check()

    @property
    def complete(self) -> bool:
        """See Constraint."""
        return self._matcher.is_stopped()

    @property
    def may_end(self) -> bool:
        """See Constraint."""
        return self._matcher.is_accepting()

    def _check(self) -> None:
        if self._matcher.is_error():
            error = InvalidShape(
                f"{_WHAT[self._parameter]} can't be followed any further: {_first_line(self._matcher.get_error())}",
                expected="a shape with fewer ways to go on at once",
                hint="make patterns and unions simpler",
            )
            error.parameter = self._parameter
            raise error


class Grammars:
    """Compiles grammars for one tokenizer. Thread-safe; nothing is made before the first grammar."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._lock = threading.Lock()
        self._made: LLTokenizer | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    def compile(self, grammar: str, parameter: str = "shape") -> Callable[[], Constraint]:
        """What makes constraints at the beginning of a grammar in llguidance's Lark.

        parameter: what of the request the grammar comes from, `shape` or `tools`; errors name it.

        Raises InvalidShape if the grammar is not valid, or can't be compiled within the bounds of
        `limpide.text.grammar.checking`.
        """
        with self._lock:
            matcher = self._compiled.get(grammar)
        if matcher is None:
            matcher = self._compile(grammar, parameter)
        with self._lock:
            self._compiled[grammar] = matcher
            self._compiled.move_to_end(grammar)
            if len(self._compiled) > _CACHED_GRAMMARS:
                self._compiled.popitem(last=False)
        return lambda: GrammarConstraint(matcher.deep_copy(), self._vocab_size, parameter)

    def _compile(self, grammar: str, parameter: str) -> LLMatcher:
        from llguidance import LLMatcher, LLParserLimits

        trouble = trouble_with(grammar, self._tokenizer.special_tokens, self._vocab_size)
        if trouble is None:
            limits = LLParserLimits(max_items_in_row=_MAX_ITEMS, verbose_errors=False)
            matcher = LLMatcher(self._for_library(), grammar, log_level=0, limits=limits)
            trouble = matcher.get_error()
        if trouble:
            error = InvalidShape(f"{_WHAT[parameter]} can't be enforced: {trouble}", expected="see docs/structured.md")
            error.parameter = parameter
            raise error
        return matcher

    def _for_library(self) -> LLTokenizer:
        from llguidance import LLTokenizer, TokenizerWrapper

        with self._lock:
            if self._made is None:
                wrapper = TokenizerWrapper(_Wrapped(self._tokenizer, self._vocab_size))
                self._made = LLTokenizer(wrapper, eos_token=sorted(self._tokenizer.eos_ids))
            return self._made


class _Wrapped:
    """Our tokenizer as the library asks for it: every token's bytes, and which are no text."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.eos_ids)
        self.bos_token_id: Any = None
        self.tokens = [tokenizer.token_bytes(token) for token in range(vocab_size)]
        special = {*tokenizer.special_tokens.values(), *tokenizer.hidden_ids, *tokenizer.eos_ids}
        self.special_token_ids = sorted(token for token in special if token < vocab_size)

    def __call__(self, text: bytes | str) -> list[int]:
        """Ids of a text that goes on from other text."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return self._tokenizer.encode_part(text, first=False)


def _first_line(message: str) -> str:
    return message.strip().split("\n")[0][:300]
