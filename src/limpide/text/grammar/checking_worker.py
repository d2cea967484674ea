"""Compiles grammars to see whether they can be. Done in a confined process; imports nothing of Limpide.

A schema or an expression by a stranger can keep a grammar compiler busy for ever (the intersection of thirty patterns
does), and nothing inside this process could stop it. The kernel can: see `confined_worker.py`, which calls `make`.

In: grammar, special (name to id), vocab_size. Out: ok, or error and message.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import llguidance

MEMORY_BYTES = 1 << 30
_CACHED_TOKENIZERS = 4


class Bytes:
    """A tokenizer of bytes and, where a grammar may name them, special tokens."""

    def __init__(self, special: Mapping[str, int], vocab_size: int) -> None:
        self.tokens = [bytes([byte]) for byte in range(256)] + [b""] * (vocab_size - 256)
        self.eos_token_id = vocab_size
        self.tokens.append(b"<end>")
        self.bos_token_id = None
        for name, number in special.items():
            if 256 <= number < vocab_size:
                self.tokens[number] = name.encode()
        self.special_token_ids = [vocab_size, *(number for number in special.values() if 256 <= number < vocab_size)]

    def __call__(self, text: bytes | str) -> list[int]:
        """Ids of a text."""
        return list(text if isinstance(text, bytes) else text.encode())


class Checker:
    """Compiles, with the tokenizers of the last few kinds of requests."""

    def __init__(self) -> None:
        self._tokenizers: OrderedDict[str, Any] = OrderedDict()
        self._limits = llguidance.LLParserLimits(verbose_errors=False)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The response to one request."""
        tokenizer = self._tokenizer(request["special"], max(256, request["vocab_size"]))
        matcher = llguidance.LLMatcher(tokenizer, request["grammar"], log_level=0, limits=self._limits)
        if not matcher.is_error():
            matcher.compute_bitmask()
        return {"error": "refused", "message": matcher.get_error()[:2000]} if matcher.is_error() else {"ok": True}

    def _tokenizer(self, special: Mapping[str, int], vocab_size: int) -> Any:
        key = json.dumps([special, vocab_size])
        found = self._tokenizers.get(key)
        if found is None:
            wrapper = llguidance.TokenizerWrapper(Bytes(special, vocab_size))
            found = llguidance.LLTokenizer(wrapper, eos_token=wrapper.eos_token_id, slices=[])
            self._tokenizers[key] = found
            if len(self._tokenizers) > _CACHED_TOKENIZERS:
                self._tokenizers.popitem(last=False)
        return found


def make() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What answers requests, once it has answered one: the compiler loads late."""
    checker = Checker()
    checker.answer({"grammar": 'start: %json {"type": "object"}', "special": {}, "vocab_size": 256})
    return checker.answer
