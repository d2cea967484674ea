"""What `limpide eval` says of scoring: what it took, where scores are kept, and whether sharing changed them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from limpide.cli.terminal import note
from limpide.core.errors import InvalidParameter
from limpide.core.ports import Backend
from limpide.core.scoring import Parity, ScoringWork

if TYPE_CHECKING:
    from limpide.evals.score_cache import ScoreCache
    from limpide.evals.task import Item

FILE = "scores.sqlite"


@contextmanager
def known_scores(*, used: bool = True) -> Iterator[ScoreCache | None]:
    """The file of scores in our cache folder, or None if it is not to be used."""
    if not used:
        yield None
        return
    from limpide.core.places import cache_dir
    from limpide.evals.score_cache import ScoreCache

    cache = ScoreCache(cache_dir() / FILE)
    try:
        yield cache
    finally:
        cache.close()


class Works:
    """What the scores of a run took: give `told` to `evaluate`."""

    def __init__(self) -> None:
        self._work: ScoringWork | None = None
        self._known = 0

    def told(self, work: ScoringWork, known: int) -> None:
        """Remember it."""
        self._work, self._known = work, known

    def as_dict(self) -> dict[str, Any] | None:
        """Plain data; `known` counts requests whose score was there already."""
        return None if self._work is None else {**self._work.as_dict(), "known": self._known}

    def say(self) -> None:
        """One line on stderr, which shows where the speed comes from."""
        work = self._work
        if work is None:
            return
        parts = []
        if work.unique_tokens:  # an endpoint does not tell
            times = work.tokens / work.unique_tokens
            parts.append(f"{work.unique_tokens:,} tokens computed in place of {work.tokens:,} ({times:.1f}× fewer)")
        if self._known:
            parts.append(f"{self._known:,} scores known from before")
        if parts:
            note("; ".join(parts))


def check_parity(backend: Backend, tasks: Iterable[tuple[str, Sequence[Item]]], sample: int) -> None:
    """Raises InvalidParameter where there is nothing to prove: an endpoint, or a task that only generates."""
    if not hasattr(backend, "prove_parity"):
        raise InvalidParameter("prove-parity", sample, "a model of this process, not an address")
    for name, items in tasks:
        if all(item.kind == "generate" for item in items):
            raise InvalidParameter("prove-parity", sample, f"nothing: {name} has no likelihoods")


def prove_parity(backend: Backend, items: Sequence[Item], *, sample: int, seed: int) -> Parity:
    """Scores of a run against those of a sample of it, each computed by itself."""
    from limpide.evals.run.scoring import scorable

    requests = scorable(backend.score_all, [item for item in items if item.kind != "generate"])
    prove: Any = backend.prove_parity  # type: ignore[attr-defined]  # checked by check_parity
    parity: Parity = prove(requests, sample=sample, seed=seed)
    return parity


def say_parity(parity: Parity) -> None:
    """One line of the result."""
    print(
        f"parity: {parity.sampled} requests ({parity.tokens} scored tokens) computed again, each alone: "
        f"max |Δ log p| {parity.max_difference:.1e}, {parity.flips} argmax flips"
    )
