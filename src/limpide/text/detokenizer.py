"""Tokens to text as they come, never half a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from limpide.text.tokenizer import Tokenizer


class Detokenizer:
    """Incremental `Tokenizer.decode`: what `push` and the final `flush` return adds up to exactly the same text.

    `keep` names special tokens that are to appear in the text, for a dialect whose markers are control tokens.
    `continuation=True` keeps a leading space: the tokens go on from text that is already there.
    """

    def __init__(self, tokenizer: Tokenizer, *, keep: Iterable[str] = (), continuation: bool = False) -> None:
        self._tokenizer = tokenizer
        kept = {tokenizer.special_tokens[text] for text in keep if text in tokenizer.special_tokens}
        self._hidden = tokenizer.hidden_ids - kept
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip = tokenizer.space_prefix and not continuation

    def push(self, token: int) -> str:
        """Text that is certain once this token is there; may be empty. Raises InvalidParameter for an unknown id."""
        data = self._tokenizer.token_bytes(token)
        if token in self._hidden:
            return ""
        if self._strip and data:
            self._strip = False
            data = data.removeprefix(b" ")
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What is left at the end: U+FFFD for bytes that never became a character."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished character are held back."""
        return bool(self._decoder.getstate()[0])
