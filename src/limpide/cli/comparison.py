"""A comparison for people: differences, verdicts, what they cost, and where the two disagree."""

from __future__ import annotations

from limpide.cli.tables import print_fields, print_table
from limpide.cli.terminal import harmless
from limpide.evals.compare import Comparison, TaskComparison
from limpide.evals.statistics import Verdict


def print_comparison(found: Comparison, *, shown: int) -> None:
    """Everything there is to say; of the items where the two disagree at most `shown` per task."""
    print(f"A  {harmless(found.a)}")
    print(f"B  {harmless(found.b)}\n")
    head = ("TASK", "ITEMS", "SOURCES", "A", "B", "B − A", "95 % INTERVAL", "p (HOLM)")
    verdicts = ("VERDICT", "FURTHER ITEMS") if found.margin is not None else ()
    print_table([(*head, *verdicts), *((*_numbers(each), *_verdict(each)) for each in found.tasks)])
    print()
    print_table([COSTS, *map(_cost, found.tasks)])
    print()
    print_fields(_notes(found))
    for each in found.tasks:
        _print_disagreements(each, shown)


def _numbers(each: TaskComparison) -> tuple[str, ...]:
    found = each.difference
    passages = each.pairing.passages
    sign = -1 if passages else 1  # bits per byte are shown as they are, and less of them is better
    low, high = sorted((sign * found.low, sign * found.high))
    return (
        each.task,
        str(found.items),
        str(found.clusters),
        _level(sign * found.mean_a, passages),
        _level(sign * found.mean_b, passages),
        _step(sign * found.difference, passages) + (" bits/byte" if passages else " points"),
        f"{_step(low, passages)} to {_step(high, passages)}",
        f"{each.adjusted_p:.2g}",
    )


def _level(value: float, passages: bool) -> str:
    return f"{value:.3f}" if passages else f"{value:.1%}"


def _step(value: float, passages: bool) -> str:
    return f"{value:+.3f}" if passages else f"{100 * value:+.1f}"


def _verdict(each: TaskComparison) -> tuple[str, ...]:
    if each.verdict is None:
        return ()
    further = each.verdict.further_items
    return each.verdict.verdict.value, "can't be told" if further is None else f"{further:,}" if further else "none"


COSTS = ("TASK", "TOKENS READ A", "B", "WRITTEN A", "B", "SECONDS A", "B")
"""Sums over the items that were compared; repeats count by their mean."""


def _cost(each: TaskComparison) -> tuple[str, ...]:
    plain = each.as_dict()
    read, written, seconds = plain["tokens_read"], plain["tokens_written"], plain["seconds"]
    return (
        each.task,
        *(f"{tokens[side]:,.0f}" for tokens in (read, written) for side in ("a", "b")),
        *(f"{seconds[side]:,.1f}" for side in ("a", "b")),
    )


def _notes(found: Comparison) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if found.margin is not None and found.verdict is not None:
        rows.append(("verdict", f"{found.verdict.value}: {_meaning(found.verdict)}"))
        rows.append(("margin", f"{100 * found.margin:g} points ({found.margin:g}), {found.promise}"))
    for each in found.tasks:
        if each.verdict is not None and each.verdict.assuming:
            rows.append((f"{each.task}: further", f"for a chance of 80 %, if they are {each.verdict.assuming}"))
        rows += [
            (f"{each.task}: asked", f"{name} was {a!r} for A and {b!r} for B") for name, a, b in each.pairing.differing
        ]
        if left_out := each.pairing.unpaired:
            rows.append((f"{each.task}: left out", f"{len(left_out)} items that have no pair, in no number above"))
            rows += [("", harmless(f"- {item}: {why}")) for item, why in list(left_out.items())[:MAX_UNPAIRED]]
            if len(left_out) > MAX_UNPAIRED:
                rows.append(("", f"- and {len(left_out) - MAX_UNPAIRED} more: --json lists all"))
        if each.difference.clusters < FEW_SOURCES:
            rows.append((f"{each.task}: sources", f"only {each.difference.clusters}, so that the interval is wide"))
    return rows or [("verdict", "none: no --margin was given")]


MAX_UNPAIRED = 20
FEW_SOURCES = 10


def _meaning(verdict: Verdict) -> str:
    return {
        Verdict.NOT_WORSE: "B loses less than the margin on every task",
        Verdict.WORSE: "B loses more than the margin on at least one task",
        Verdict.UNDECIDED: "there are too few items to say",
    }[verdict]


def _print_disagreements(each: TaskComparison, shown: int) -> None:
    differing = each.disagreements
    print(f"\n{each.task}: they differ on {len(differing)} of {each.difference.items} items")
    rows = [
        (pair.item, f"{pair.a.score:.2f}", f"{pair.b.score:.2f}", _short(pair.a.answer), _short(pair.b.answer))
        for pair in differing[:shown]
    ]
    if rows:
        print_table([("ITEM", "A", "B", "ANSWER OF A", "ANSWER OF B"), *rows])
    if len(differing) > len(rows):
        print(f"and {len(differing) - len(rows)} more: --items {len(differing)} or --json shows all")


def _short(answer: str, room: int = 40) -> str:
    line = harmless(" ".join(answer.split()))
    return line if len(line) <= room else line[: room - 1] + "…"
