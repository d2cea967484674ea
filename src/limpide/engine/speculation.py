"""Speculative decoding: guessed tokens are computed beside the certain one, and kept as far as they are right.

What a position's token is, is decided as without guesses: by its own logits and its own random number. A guess is right
if it is that very token. So the answer is the same, greedy or sampled, and guesses that are certain (one token, not a
distribution) are kept as often as by the rejection sampling of Leviathan et al. (arXiv:2211.17192) and Chen et al.
(arXiv:2302.01318).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from limpide.core.receipt import Outcome
from limpide.engine.choice import Choice
from limpide.engine.drafts import Evidence, Track
from limpide.engine.lookup import NGRAM, Lookup, continuation
from limpide.engine.sequence import Sequence as Line
from limpide.engine.step_costs import StepCosts

MAX_DRAFT: Final = 7
"""With the certain token eight rows, which the kernels still compute as they compute one: see `paged.FEW_QUERIES`."""
MAX_ROWS: Final = 64
"""Of a step with drafts. Beyond, it is the multipliers that take the time."""


class Drafter(Protocol):
    """Where guesses come from."""

    name: str
    seconds: float
    """What one guessed token costs to make."""

    def expect(self, choice: Choice, track: Track) -> float:
        """The chance that a guessed token is right if those before it are; 0 without a guess."""

    def draft(self, choice: Choice, count: int) -> Sequence[int]:
        """At most `count` tokens, for a line that `expect` was just called with."""


class Speculation:
    """Decides, step by step, how far to guess ahead.

    always: as far as guesses go, whatever it costs; otherwise only where the measured cost of a step's rows and what
    became of earlier guesses promise more tokens per second, for everybody in the batch together.
    requested: what was asked for, for receipts; without a drafter, `why` says why that is not done.
    """

    def __init__(
        self, drafter: Drafter | None, *, always: bool = False, requested: str = "auto", why: str | None = None
    ) -> None:
        self.drafter = drafter
        self.costs = StepCosts()
        self._always = always
        self._requested = requested
        self._why = why

    def track(self) -> Track:
        """What a new answer's drafts are counted with."""
        if self.drafter is None:
            return Track(Outcome("clamped", self._requested, "off", self._why))
        why = "it changes no token; usage says how many guesses were right"
        return Track(Outcome("applied", self._requested, self.drafter.name, why))

    def draft(self, lines: Sequence[Line]) -> None:
        """Set the drafts of lines that go on decoding. One that fails isn't asked again: later receipts say so."""
        drafter = self.drafter
        if drafter is None or not lines:
            return
        try:
            self._draft(lines, drafter)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer can do without
            self.drafter, self._why = None, f"{drafter.name} failed: {error}"

    def _draft(self, lines: Sequence[Line], drafter: Drafter) -> None:
        room = MAX_ROWS - len(lines)
        open_to: list[tuple[Choice, float, int]] = []
        for line in lines:
            choice = line.owner
            if not isinstance(choice, Choice) or choice.track is None:
                continue
            most = min(MAX_DRAFT, choice.num_left - 1)
            choice.track.forget()
            chance = drafter.expect(choice, choice.track) if most > 0 else 0.0
            if chance > 0:
                open_to.append((choice, chance, most))
        if room <= 0 or not open_to:
            return
        lengths = self._lengths(len(lines), open_to, room, drafter.seconds)
        for (choice, _, _), length in zip(open_to, lengths, strict=True):
            if length:
                choice.sequence.draft = choice.permitted(drafter.draft(choice, length))

    def _lengths(self, rows: int, open_to: Sequence[tuple[Choice, float, int]], room: int, seconds: float) -> list[int]:
        """How far to guess for each: the most tokens per second that all together can expect."""
        # the j-th guess is worth what all up to it are right; so a line's guesses come in order, best lines first
        worth = sorted(
            ((chance**j, index) for index, (_, chance, most) in enumerate(open_to) for j in range(1, most + 1)),
            reverse=True,
        )[:room]
        taken = len(worth)
        if not self._always:
            best, tokens, taken = rows / self.costs.of(rows), float(rows), 0
            for count, (gain, _) in enumerate(worth, start=1):
                tokens += gain
                speed = tokens / (self.costs.of(rows + count) + count * seconds)
                if speed > best:
                    best, taken = speed, count
        lengths = [0] * len(open_to)
        for _, index in worth[:taken]:
            lengths[index] += 1
        return lengths


class LookupDrafter:
    """Guesses that the text goes on as it did where it last was the same: in the prompt, the thinking, the answer."""

    name = "lookup"
    seconds = 0.0

    def expect(self, choice: Choice, track: Track) -> float:
        """See Drafter."""
        state = choice.drafting
        if not isinstance(state, _Text):
            state = choice.drafting = _Text()
        tokens = choice.sequence.tokens
        state.place, agreed = state.lookup.find(tokens)
        if not agreed:
            return 0.0
        evidence = state.evidence[min((agreed - NGRAM) // 3, len(state.evidence) - 1)]
        track.expect(evidence, tokens[state.place])
        return evidence.chance

    def draft(self, choice: Choice, count: int) -> Sequence[int]:
        """See Drafter."""
        state = choice.drafting
        if not isinstance(state, _Text):
            raise AssertionError("nothing was looked up")
        return continuation(choice.sequence.tokens, state.place, count)


class _Text:
    """What is known of one line's text."""

    def __init__(self) -> None:
        self.lookup = Lookup()
        self.place = 0
        self.evidence = [Evidence(expected) for expected in (0.4, 0.6, 0.75, 0.85)]
        """By how much agrees: the more, the likelier it goes on."""
