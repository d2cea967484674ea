"""Guesses at the next tokens of one answer, and how they fared."""

from __future__ import annotations

from typing import Final

from limpide.core.receipt import Outcome

_WEIGHT: Final = 3.0
"""Tries that what is expected of new guesses counts as."""
_MEMORY: Final = 0.95
"""What a try still counts when the next one is made."""


class Evidence:
    """How often guesses of one kind were right, of late."""

    def __init__(self, expected: float) -> None:
        self._expected = expected
        self._tries, self._right = _WEIGHT, expected * _WEIGHT

    @property
    def chance(self) -> float:
        """That the next token is guessed right, below 1."""
        return self._right / self._tries

    def add(self, right: bool) -> None:
        """One more guess was tried."""
        self._tries = self._tries * _MEMORY + 1
        self._right = self._right * _MEMORY + right
        if right and self._right > 0.98 * self._tries:
            self._right = 0.98 * self._tries

    def reset(self) -> None:
        """Forget what was seen."""
        self._tries, self._right = _WEIGHT, self._expected * _WEIGHT


class Track:
    """One answer's drafts: counts for its usage, and what can be expected of the next draft.

    A draft that is not used is evidence, too: its first token is compared with the one that came.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        """For the receipt."""
        self.accepted = 0
        self.rejected = 0
        self.passed = 0
        """Steps since a draft was last used."""
        self._evidence: Evidence | None = None
        self._expected: int | None = None

    def forget(self) -> None:
        """Nothing is expected of the next step."""
        self._evidence = self._expected = None

    def expect(self, evidence: Evidence, first: int | None) -> None:
        """What the next draft is an instance of, and its first token if that is known already."""
        self._evidence, self._expected = evidence, first

    def begin(self, drafted: int, first: int) -> None:
        """A step with a draft of so many tokens, or none, was computed; `first` is the first token that came."""
        self.passed = 0 if drafted else self.passed + 1
        self.rejected += drafted
        if not drafted and self._evidence is not None and self._expected is not None:
            self._evidence.add(self._expected == first)

    def try_out(self, right: bool) -> None:
        """The next token of the draft was reached."""
        if right:
            self.accepted += 1
            self.rejected -= 1
        if self._evidence is not None:
            self._evidence.add(right)
