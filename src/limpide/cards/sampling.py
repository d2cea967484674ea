"""Ask some of a card's items again, of the real model, and compare what it says with the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from limpide.cards.evidence import Evidence, KeptRun
from limpide.cards.verifying import Finding
from limpide.core.errors import LimpideError
from limpide.core.evidence import ItemRecord, RunManifest
from limpide.core.ports import Answer, Backend
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking
from limpide.evals.run import RunOptions, evaluate
from limpide.evals.run.runner import manifest_of
from limpide.evals.task import Grade, Item, Task, TaskOptions
from limpide.evals.tasks import TASKS, find_task

OF_NO_MATTER = frozenset({"model", "backend.engine", "context", "versions", "machine"})
"""What may be other here, though the answers may not: a name, for one, where the weights have the same hash."""
COMPARED = ("prompt_sha256", "answer", "thinking", "tool_calls", "finish", "score", "thinking_tokens", "answer_tokens")
"""Fields of a record that have to be the same. Times and cached tokens depend on what else is computed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The items of one run that are to be asked again."""

    kept: KeptRun
    items: frozenset[str]


def draw_sample(evidence: Evidence, count: int, seed: int) -> list[Chosen]:
    """So many items out of all runs that can be asked again: for the same evidence and seed always the same."""
    pool = sorted(
        {
            (kept.name, record.item)
            for kept in evidence.runs
            if can_be_asked(kept.run.manifest)
            for record in kept.run.records
            if record.error is None
        }
    )
    drawn = Random(seed).sample(pool, min(count, len(pool)))  # noqa: S311 - a sample, not a secret
    chosen = [(kept, frozenset(item for name, item in drawn if name == kept.name)) for kept in evidence.runs]
    return [Chosen(kept, items) for kept, items in chosen if items]


def can_be_asked(manifest: RunManifest) -> bool:
    """Whether the items can be made again here: not those of a user's file, or of a task that came from elsewhere."""
    return manifest.file is None and manifest.task in TASKS


def ask_again(backend: Backend, chosen: Chosen) -> list[Finding]:
    """Where the answers of now differ from those on record. Empty if nowhere."""
    manifest, place = chosen.kept.run.manifest, f"evidence/runs/{chosen.kept.name}"
    try:
        task = find_task(manifest.task)
        options = options_of(manifest)
        items = task.items(options.task)
        now = manifest_of(backend, task, items, options)
    except (LimpideError, TypeError, ValueError) as error:
        return [Finding(place, f"can't be asked again: {error}")]
    differing = [
        each for each in manifest.differences(now) if OF_NO_MATTER.isdisjoint((each[0], each[0].partition(".")[0]))
    ]
    if differing:
        return [Finding(f"{place}: {name}", f"on record {was!r}, here {here!r}") for name, was, here in differing]
    wanted = [item for item in items if item.id in chosen.items]
    findings = [Finding(f"{place}: {item}", "no item of the task") for item in chosen.items - {i.id for i in wanted}]
    if not wanted:
        return findings
    again = {record.key: record for record in evaluate(backend, _Part(task, wanted), options).records}
    for record in chosen.kept.run.records:
        if record.key in again:
            findings += _compared(f"{place}: {record.item}, repeat {record.repeat}", record, again[record.key])
    return findings


def options_of(manifest: RunManifest) -> RunOptions:
    """The options with which a run was made. Raises InvalidParameter, TypeError, ValueError for senseless ones."""
    thinking = Thinking.parse(manifest.thinking)
    sampling: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in manifest.sampling.items()
    }
    if isinstance(sampling.get("logit_bias"), Mapping):  # JSON has no whole numbers for names
        sampling["logit_bias"] = {int(token): bias for token, bias in sampling["logit_bias"].items()}
    if sampling.get("max_tokens") is not None and thinking.budget is not None:
        sampling["max_tokens"] -= thinking.budget
    task = find_task(manifest.task)
    if task.kind in ("choices", "perplexity"):
        sampling = {}
    shots = None if task.shots is None else manifest.shots
    return RunOptions(
        TaskOptions(seed=manifest.seed, limit=manifest.limit, shots=shots),
        thinking,
        Sampling(**sampling),
        manifest.repeats,
    )


def _compared(where: str, record: ItemRecord, now: ItemRecord) -> Iterator[Finding]:
    if now.error is not None:
        yield Finding(where, f"could not be answered: {now.error}")
        return
    for name in COMPARED:
        was, here = getattr(record, name), getattr(now, name)
        if was != here:
            yield Finding(f"{where}, {name}", f"on record {_short(was)}; the model now gives {_short(here)}")


def _short(value: object, room: int = 160) -> str:
    text = repr(value)
    return text if len(text) <= room else text[: room - 1] + "…"


@dataclass(frozen=True)
class _Part:
    """Some items of a task."""

    task: Task
    wanted: Sequence[Item]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Those that were chosen."""
        return self.wanted

    def grade(self, item: Item, answer: Answer) -> Grade:
        """As the task grades."""
        return self.task.grade(item, answer)
