"""Two models on the same items: the difference with its interval, and a verdict for a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from limpide.core.errors import NotComparable
from limpide.evals.pairing import Pair, Pairing
from limpide.evals.registration import Registration
from limpide.evals.statistics import (
    NonInferiority,
    PairedDifference,
    PairedTest,
    Verdict,
    holm,
    non_inferiority,
    paired_difference,
    paired_test,
)
from limpide.evals.statistics.noninferiority import ALPHA, check_margin

POST_HOC = "post hoc: no margin was registered before B's first item, so the error rate of the verdict is not known"
REGISTERED = "registered before B's first item"


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """One task, both models."""

    pairing: Pairing
    difference: PairedDifference
    """B − A, with a 95 % interval."""
    test: PairedTest
    adjusted_p: float
    """By Holm, over the tasks of the comparison."""
    verdict: NonInferiority | None
    """None without a margin."""
    registered: bool

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.pairing.a.task

    @property
    def disagreements(self) -> list[Pair]:
        """Items that don't score the same, those where B loses most first."""
        differing = [pair for pair in self.pairing.pairs if pair.a.score != pair.b.score]
        return sorted(differing, key=lambda pair: pair.b.score - pair.a.score)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        pairing = self.pairing
        return {
            "task": self.task,
            "version": pairing.a.task_version,
            "unit": "minus bits per byte" if pairing.passages else "score from 0 to 1",
            "runs": {"a": pairing.a.run_id, "b": pairing.b.run_id},
            "difference": self.difference.as_dict(),
            "test": {**self.test.as_dict(), "holm": self.adjusted_p},
            "verdict": self.verdict.as_dict() if self.verdict else None,
            "registered": self.registered,
            **{
                name: {side: _total(pairing.pairs, side, what) for side in ("a", "b")}
                for name, what in (("tokens_read", "read"), ("tokens_written", "written"), ("seconds", "seconds"))
            },
            "asked_differently": [{"what": name, "a": a, "b": b} for name, a, b in pairing.differing],
            "unpaired": dict(pairing.unpaired),
            "disagreements": [asdict(pair) for pair in self.disagreements],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All tasks, both models."""

    SCHEMA: ClassVar[str] = "limpide.comparison/1"

    a: str
    b: str
    margin: float | None
    alpha: float
    tasks: tuple[TaskComparison, ...]

    @property
    def verdict(self) -> Verdict | None:
        """NOT WORSE if it is so for every task, WORSE if so for any; None without a margin.

        NOT WORSE over all tasks is wrong with probability `alpha` at most, since all must say so. WORSE is meant to be
        looked at task by task: each is wrong with probability `alpha`.
        """
        verdicts = [each.verdict.verdict for each in self.tasks if each.verdict]
        if not verdicts:
            return None
        if Verdict.WORSE in verdicts:
            return Verdict.WORSE
        return Verdict.UNDECIDED if Verdict.UNDECIDED in verdicts else Verdict.NOT_WORSE

    @property
    def registered(self) -> bool:
        """Whether the margin was promised beforehand for every task."""
        return all(each.registered for each in self.tasks)

    @property
    def promise(self) -> str | None:
        """What to say of the margin."""
        if self.margin is None:
            return None
        return REGISTERED if self.registered else POST_HOC

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "schema": self.SCHEMA,
            "a": self.a,
            "b": self.b,
            "margin": self.margin,
            "alpha": self.alpha,
            "margin_was": self.promise,
            "verdict": self.verdict.value if self.verdict else None,
            "tasks": [each.as_dict() for each in self.tasks],
        }


def compare(
    pairings: Sequence[Pairing],
    *,
    margin: float | None = None,
    alpha: float = ALPHA,
    registrations: Sequence[Registration | None] = (),
    seed: int = 0,
) -> Comparison:
    """Compare two models over one or more tasks.

    `margin` is in the unit of the scores; without one there are differences and p-values, and no verdict.
    `registrations`, one for each pairing if given, are what was promised beforehand. `seed` is that of the permutation
    test. Raises NotComparable for no pairing or several of one task, InvalidParameter for a margin out of range.
    """
    names = [pairing.a.task for pairing in pairings]
    if not names or len(set(names)) < len(names):
        raise NotComparable(
            f"the tasks to compare are {', '.join(names) or 'none'}", expected="one or more, each of them once"
        )
    if margin is not None:
        check_margin(margin)
    tests = {pairing.a.task: _test(pairing, seed) for pairing in pairings}
    adjusted = holm({task: test.p for task, test in tests.items()})
    promised = list(registrations) or [None] * len(pairings)
    tasks = []
    for pairing, registration in zip(pairings, promised, strict=True):
        a, b, clusters = _columns(pairing)
        bounded = not pairing.passages
        tasks.append(
            TaskComparison(
                pairing=pairing,
                difference=paired_difference(a, b, clusters, bounded=bounded),
                test=tests[pairing.a.task],
                adjusted_p=adjusted[pairing.a.task],
                verdict=None
                if margin is None
                else non_inferiority(a, b, clusters, margin=margin, alpha=alpha, bounded=bounded),
                registered=registration is not None
                and margin is not None
                and registration.covers(pairing.b, margin, alpha),
            )
        )
    return Comparison(pairings[0].a.model, pairings[0].b.model, margin, alpha, tuple(tasks))


def _columns(pairing: Pairing) -> tuple[list[float], list[float], list[str]]:
    pairs = pairing.pairs
    return [p.a.score for p in pairs], [p.b.score for p in pairs], [p.cluster for p in pairs]


def _test(pairing: Pairing, seed: int) -> PairedTest:
    a, b, clusters = _columns(pairing)
    return paired_test(a, b, clusters, seed=seed)


def _total(pairs: Sequence[Pair], side: str, what: str) -> float:
    return math.fsum(getattr(getattr(pair, side), what) for pair in pairs)
