"""Grades of what is scored by likelihood; what is generated is graded by its task."""

from __future__ import annotations

from collections.abc import Sequence

from limpide.core.evidence import ItemRecord
from limpide.core.ports import Scored
from limpide.evals.task import Grade, Item


def grade_choices(item: Item, scored: Sequence[Scored]) -> Grade:
    """1 if the right continuation is the likeliest of all, 0 otherwise. An exact tie with it counts as wrong.

    detail: `chosen`, `logprobs` (nats of each whole continuation), `tokens`, and `chosen_per_byte`: which is likeliest
    when each is divided by its length in UTF-8 bytes, as lm-eval's acc_norm has it.
    """
    totals = [each.total for each in scored]
    per_byte = [total / len(text.encode()) for total, text in zip(totals, item.choices, strict=True)]
    chosen = _best(totals, item.reference)
    return Grade(
        float(chosen == item.reference),
        {
            "chosen": chosen,
            "chosen_per_byte": _best(per_byte, item.reference),
            "logprobs": totals,
            "tokens": [len(each.logprobs) for each in scored],
        },
    )


def grade_passage(item: Item, scored: Scored) -> Grade:
    """Nats of the passage after its context: −log p. detail: `tokens` and `bytes` that they are spread over."""
    return Grade(-scored.total, {"tokens": len(scored.logprobs), "bytes": len(item.text.encode())})


def is_passage(record: ItemRecord) -> bool:
    """Whether it is of a passage: what `grade_passage` made of a text whose likelihood was measured."""
    return record.finish is None and record.detail.keys() == {"tokens", "bytes"}


def _best(values: Sequence[float], right: int) -> int:
    """Index of the highest; among equals one that is not right, so that a model that can't tell wins nothing by it."""
    return max(range(len(values)), key=lambda index: (values[index], index != right))
