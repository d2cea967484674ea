"""What an engine did since it was made."""

from __future__ import annotations

from collections import Counter

from limpide.core.events import Usage

KINDS = ("prompt", "cached", "thinking", "answer")


class Counters:
    """Steps and tokens. Written by whoever computes, read by anybody."""

    def __init__(self) -> None:
        self.steps = 0
        self.tokens: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        """By kind; an answer's tokens are counted at its end, also if that came early."""

    def count(self, usage: Usage) -> None:
        """A sequence was computed, or given up."""
        self.tokens["prompt"] += usage.prompt_tokens - usage.cached_tokens
        self.tokens["cached"] += usage.cached_tokens
        self.tokens["thinking"] += usage.thinking_tokens
        self.tokens["answer"] += usage.answer_tokens
