"""The thinking dial in every spelling that clients use, as one position of ours.

Spellings that say the same or complete one another may come together: a switch, an effort and a budget. What
contradicts is refused, since whichever was followed, the other would have been ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from limpide.core.errors import InvalidParameter
from limpide.core.thinking import BUDGETS, Effort, Thinking

EFFORTS: dict[str, Effort] = {
    "none": Effort.OFF,
    "off": Effort.OFF,
    "minimal": Effort.MINIMAL,
    "low": Effort.LOW,
    "medium": Effort.MEDIUM,
    "high": Effort.HIGH,
    "xhigh": Effort.MAX,
    "max": Effort.MAX,
}
"""Names of efforts: OpenAI's and our own."""
MAX_BUDGET = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What one field says of the dial. `field` is its path in the request."""

    field: str
    value: object
    on: bool
    effort: Effort | None = None
    budget: int | None = None


def switch(field: str, value: bool | None) -> list[Wish]:
    """A field that turns thinking on or off."""
    return [] if value is None else [Wish(field, value, value)]


def effort(field: str, value: str | None) -> list[Wish]:
    """A field that names an effort. Raises InvalidParameter for a name that nobody uses."""
    if value is None:
        return []
    found = EFFORTS.get(value)
    if found is None:
        raise InvalidParameter(field, value, ", ".join(EFFORTS))
    return [Wish(field, value, found is not Effort.OFF, found if found is not Effort.OFF else None)]


def budget(field: str, value: int | None) -> list[Wish]:
    """A field that limits the tokens of thinking; 0 is off. Raises InvalidParameter if it is no such number."""
    if value is None:
        return []
    if isinstance(value, bool) or not 0 <= value <= MAX_BUDGET:
        raise InvalidParameter(field, value, f"a whole number from 0 to {MAX_BUDGET}")
    return [Wish(field, value, value > 0, budget=value or None)]


def any_of(field: str, value: bool | str | int | None) -> list[Wish]:
    """A field that takes a switch, an effort or a budget."""
    if isinstance(value, bool):
        return switch(field, value)
    if isinstance(value, int):
        return budget(field, value)
    return effort(field, value)


def combine(wishes: Iterable[Wish]) -> Thinking | None:
    """All that a request says of the dial, as one position; None if it says nothing.

    Raises InvalidParameter, naming both fields, where two of them can't both be followed.
    """
    wishes = list(wishes)
    if not wishes:
        return None
    for first, second in pairwise(wishes):
        if first.on != second.on:
            raise _contradiction(first, second)
    for aspect in ("effort", "budget"):
        saying = [wish for wish in wishes if getattr(wish, aspect) is not None]
        for first, second in pairwise(saying):
            if getattr(first, aspect) != getattr(second, aspect):
                raise _contradiction(first, second)
    if not wishes[0].on:
        return Thinking.parse("off")
    named = next((wish.effort for wish in wishes if wish.effort), None)
    limit = next((wish.budget for wish in wishes if wish.budget), None)
    if limit is None and named is None:
        return Thinking.parse(True)
    return Thinking(BUDGETS[named] if limit is None and named else limit, named)


def _contradiction(first: Wish, second: Wish) -> InvalidParameter:
    return InvalidParameter(
        second.field,
        second.value,
        f"what {first.field} = {first.value!r} says, too",
        hint="keep one of them",
    )
