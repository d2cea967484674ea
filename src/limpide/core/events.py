"""What an answer is made of, in the order in which it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpide.core.receipt import Receipt


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """A token and the natural logarithm of its probability, before temperature and filters."""

    token_id: int
    text: str
    """May hold U+FFFD where a character is split over tokens; `raw` has its exact bytes."""
    raw: bytes
    logprob: float
    top: tuple[TokenProbability, ...] = ()


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More of the reasoning."""

    text: str
    index: int = 0
    logprobs: tuple[TokenProbability, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str
    index: int = 0
    logprobs: tuple[TokenProbability, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call: `id` and `name` come once, with its first delta; `arguments` of all its deltas add up."""

    call: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    index: int = 0


FinishReason = Literal["stop", "length", "tool_calls", "aborted"]


@dataclass(frozen=True, slots=True)
class Usage:
    """True counts. `thinking_tokens` and `answer_tokens` add up to what was generated, fences included."""

    prompt_tokens: int
    cached_tokens: int
    thinking_tokens: int
    answer_tokens: int
    thinking_truncated: bool = False
    """The budget ended the thinking, not the model."""
    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    """From admission to the first token."""
    decode_seconds: float = 0.0
    accepted_draft_tokens: int = 0
    """Generated tokens that were guessed beforehand and cost no step of their own."""
    rejected_draft_tokens: int = 0
    """Guesses that were computed in vain."""

    @property
    def generated_tokens(self) -> int:
        """Thinking and answer together."""
        return self.thinking_tokens + self.answer_tokens


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of one choice."""

    reason: FinishReason
    usage: Usage
    receipt: Receipt
    index: int = 0
    stop: str | None = None
    """The stop string that ended it, if one did."""


Event = ThinkingDelta | TextDelta | ToolCallDelta | Finished
