"""The thinking dial: how long a model may reason before it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from limpide.core.errors import InvalidParameter


class Effort(StrEnum):
    """Named positions of the dial."""

    OFF = "off"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    MAX = "max"


class Capability(StrEnum):
    """What a model can do with the dial."""

    NATIVE = "native"
    """Its chat template has a switch."""
    ALWAYS = "always"
    """It was trained to think every time; off is emulated by an empty block, and said so."""
    PROMPTED = "prompted"
    """It was never taught to; we ask for steps and fence them."""
    NONE = "none"
    """A base model: asking for thinking is an error."""


BUDGETS: dict[Effort, int | None] = {
    Effort.OFF: 0,
    Effort.MINIMAL: 64,
    Effort.LOW: 256,
    Effort.MEDIUM: 1024,
    Effort.HIGH: 4096,
    Effort.MAX: None,
}
"""Tokens of thinking that each position allows; None is whatever the context leaves."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """A position of the dial. `budget` is in tokens; 0 is off, None is unlimited."""

    budget: int | None
    effort: Effort | None = None

    @classmethod
    def parse(cls, value: Thinking | Effort | str | int | bool | None) -> Thinking:
        """Read what a person wrote: a name, a number of tokens, True or False.

        Raises InvalidParameter for anything else, negative numbers included.
        """
        if isinstance(value, Thinking):
            return value
        if value is None or value is False:
            return cls(0, Effort.OFF)
        if value is True:
            return cls(BUDGETS[Effort.MEDIUM], Effort.MEDIUM)
        if isinstance(value, int):
            if value < 0:
                raise InvalidParameter("think", value, _EXPECTED)
            return cls(value)
        word = value.strip().lower()
        if word.isascii() and word.isdecimal():
            return cls(int(word))
        try:
            effort = Effort(word)
        except ValueError:
            raise InvalidParameter("think", value, _EXPECTED) from None
        return cls(BUDGETS[effort], effort)

    @property
    def enabled(self) -> bool:
        """Whether any thinking is allowed at all."""
        return self.budget != 0

    def __str__(self) -> str:
        return self.effort.value if self.effort else str(self.budget)


_EXPECTED = "off, minimal, low, medium, high, max, or a number of tokens"
