"""How the next token is chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from limpide.core.errors import InvalidParameter

MAX_LOGPROBS = 20
MAX_CHOICES = 128
MAX_STOPS = 16
MIN_REPETITION = 0.01
"""Smaller factors of logits, and larger ones than 100, leave what float32 holds."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """All that shapes sampling. Validated when made: a value out of range raises InvalidParameter.

    The order of application is: logit_bias, repetition, frequency and presence penalties, temperature, top_k, top_p,
    min_p. `temperature=0` takes the most likely token. Penalties count prompt and answer for `repetition_penalty`
    (CTRL, arXiv:1909.05858) and the answer alone for `frequency_penalty` and `presence_penalty` (OpenAI's definition).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps all tokens."""
    min_p: float = 0.0
    """Keep tokens at least this share as likely as the most likely one."""
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    """Strings that end the answer; they are not part of it."""
    max_tokens: int | None = None
    """Limit of thinking and answer together; None is whatever the context leaves."""
    seed: int | None = None
    """The same request with the same seed gives the same tokens; None draws one and reports it in the receipt."""
    n: int = 1
    logprobs: int | None = None
    """How many alternatives to report beside each token; None reports nothing, 0 the chosen token alone."""
    ignore_eos: bool = False
    """Go on after the end of turn: for benchmarks only."""

    def __post_init__(self) -> None:
        _number("temperature", self.temperature, 0.0, 100.0)
        _number("top_p", self.top_p, 0.0, 1.0, low_open=True)
        _integer("top_k", self.top_k, 0, 2**31 - 1)
        _number("min_p", self.min_p, 0.0, 1.0)
        _number("repetition_penalty", self.repetition_penalty, MIN_REPETITION, 100.0)
        _number("frequency_penalty", self.frequency_penalty, -2.0, 2.0)
        _number("presence_penalty", self.presence_penalty, -2.0, 2.0)
        if self.max_tokens is not None:
            _integer("max_tokens", self.max_tokens, 1, 2**31 - 1)
        if self.seed is not None:
            _integer("seed", self.seed, 0, 2**63 - 1)
        _integer("n", self.n, 1, MAX_CHOICES)
        if self.logprobs is not None:
            _integer("logprobs", self.logprobs, 0, MAX_LOGPROBS)
        if len(self.stop) > MAX_STOPS or not all(isinstance(s, str) and s for s in self.stop):
            raise InvalidParameter("stop", self.stop, f"at most {MAX_STOPS} strings, none of them empty")
        for token, bias in self.logit_bias.items():
            _integer("logit_bias token", token, 0, 2**31 - 1)
            _number("logit_bias", bias, -100.0, 100.0)


def _number(name: str, value: float, low: float, high: float, *, low_open: bool = False) -> None:
    expected = f"a number {'above' if low_open else 'from'} {low:g} {'up to' if low_open else 'to'} {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidParameter(name, value, expected)
    if not low <= value <= high or (low_open and value == low):
        raise InvalidParameter(name, value, expected)


def _integer(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidParameter(name, value, f"a whole number from {low} to {high}")
