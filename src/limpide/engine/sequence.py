"""What the scheduler knows of one line of tokens."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from limpide.cache import Lease
from limpide.core.events import Usage

if TYPE_CHECKING:
    from limpide.engine.pooling import Pooling


class Owner(Protocol):
    """What a sequence is computed for. `Pooling` is the other kind, which takes hidden states in place of logits."""

    torn: bool
    """Set while it changes; still set after an interruption, when it can't be trusted any more."""

    @property
    def usage(self) -> Usage:
        """What it took so far."""

    def on_logits(self, position: int, logits: npt.NDArray[np.float32]) -> None:
        """Logits [count, vocab] after the tokens at `position` and those that follow it.

        May come twice for the same positions, when a step was interrupted: must be idempotent until the commit.
        """

    def on_commit(self) -> bool:
        """A step that computed part of the sequence is done. May append tokens to it. True if that was the end."""


class Sequence:
    """Tokens, of which the first `num_computed` are in the cache. The rest is what there is to do."""

    __slots__ = (
        "admitted_at",
        "cached_tokens",
        "client",
        "draft",
        "finished",
        "id",
        "idle",
        "lease",
        "logits_from",
        "num_computed",
        "owner",
        "tokens",
        "turn",
    )

    def __init__(self, number: int, tokens: list[int], owner: Owner | Pooling, logits_from: int) -> None:
        self.id = number
        """Order of arrival."""
        self.tokens = tokens
        self.num_computed = 0
        self.draft: Tokens[int] = ()
        """Guesses at the tokens that follow, computed in the same step as the last one, and then confirmed or not."""
        self.owner = owner
        self.logits_from = logits_from
        """Results are wanted after this position and every later one. Positions before it may come from the cache."""
        self.lease: Lease | None = None
        """Its blocks while it runs; None while it waits."""
        self.cached_tokens: int | None = None
        """Leading tokens that the cache had when it first ran."""
        self.admitted_at: float | None = None
        """When it first ran, in seconds of `time.perf_counter`."""
        self.finished = False
        self.client = ""
        """Who asked: clients take turns."""
        self.idle = False
        """To be computed only when there is nothing else."""
        self.turn = 0
        """Its round among those of all clients, see Rounds. The scheduler's to set."""

    @property
    def num_missing(self) -> int:
        """Tokens that still have to be computed."""
        return len(self.tokens) - self.num_computed

    def span(self, start: int, end: int) -> list[int]:
        """Tokens and drafted ones from `start` to `end`."""
        length = len(self.tokens)
        return self.tokens[start:end] if end <= length else [*self.tokens[start:], *self.draft[: end - length]]
