"""Ask a task's items, grade the answers and keep a record of each."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from limpide import __version__
from limpide.core.errors import ChatUnsupported, InvalidParameter, LimpideError
from limpide.core.evidence import ItemRecord, RunManifest, sha256_of
from limpide.core.ports import Answer, Backend, Scored
from limpide.evals.grading import grade_choices, grade_passage
from limpide.evals.run.asking import RunOptions, request_of
from limpide.evals.run.folder import Run, RunFolder, newest
from limpide.evals.run.scoring import HOPELESS, ScoreAll, Worked, cached, score_items
from limpide.evals.score_cache import ScoreCache
from limpide.evals.task import Grade, Item, Task

Told = Callable[[int, int], None]
"""How many answers there are, of how many."""


def evaluate(
    backend: Backend,
    task: Task,
    options: RunOptions,
    folder: Path | None = None,
    *,
    resume: bool = False,
    told: Told = lambda done, total: None,
    worked: Worked = lambda work, known: None,
    cache: ScoreCache | None = None,
) -> Run:
    """Run a task. With a folder, every record is in it as soon as it is made; `resume` goes on with what is there.

    What is scored by likelihood is scored all together; `cache` keeps these scores for other runs, and `worked` is told
    what they take.

    An item that can't be answered has a record of its error, and is asked again on resuming. Interrupts and errors that
    would meet every item come through; the folder is then as good as before.

    Raises UnknownTask, InvalidDataset, InvalidParameter, ChatUnsupported, ThinkingUnsupported, RunInUse, RunMismatch,
    CorruptRun, DiskFull, EngineStopped, EndpointFailed, EndpointRefused.
    """
    items = task.items(options.task)
    _check(backend, task, items, options)
    manifest = manifest_of(backend, task, items, options)
    asking = _Asking(backend, task, options, told, worked, cached(backend, cache))
    if folder is None:
        records = tuple(_answers(asking, items, done=()))
        return Run(manifest, records)
    with RunFolder(folder, manifest, resume=resume) as kept:
        made = list(kept.records)
        for record in _answers(asking, items, kept.records):
            kept.append(record)
            made.append(record)
        return Run(kept.manifest, newest(iter(made)))


def manifest_of(backend: Backend, task: Task, items: Sequence[Item], options: RunOptions) -> RunManifest:
    """The manifest of a run that begins now."""
    info, shots = backend.info, options.task.shots
    return RunManifest(
        run_id=uuid.uuid4().hex,
        task=task.name,
        task_version=task.version,
        task_sha256=sha256_of(
            [(item.id, item.cluster, item.slice, item.prompt_sha256, item.reference) for item in items]
        ),
        items=len(items),
        file=options.task.file.name if options.task.file else None,
        model=info.name,
        architecture=info.architecture,
        context=info.context,
        backend=backend.fingerprint(),
        thinking=str(options.thinking),
        sampling=options.recorded_sampling(task),
        seed=options.task.seed,
        shots=(task.shots or 0) if shots is None else shots,
        repeats=options.repeats,
        limit=options.task.limit,
        versions={"limpide": __version__, "python": platform.python_version()},
        machine={"system": platform.system(), "machine": platform.machine(), "processors": os.cpu_count()},
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _check(backend: Backend, task: Task, items: Sequence[Item], options: RunOptions) -> None:
    """Refuse before the first item what would go wrong with every one, or be ignored."""
    kinds = {item.kind for item in items}
    if "generate" in kinds and not backend.info.chat:
        raise ChatUnsupported(
            f"{backend.info.name} has no chat template, and the task {task.name} asks for answers",
            expected="a model that was tuned for instructions",
            hint="choices, english, french and perplexity work with base models",
        )
    by_likelihood = f"{task.name} is scored by likelihood"
    if "generate" not in kinds:
        if options.thinking.enabled:
            raise InvalidParameter("think", str(options.thinking), f"off: {by_likelihood}")
        for name in options.changed_sampling:
            raise InvalidParameter(name, getattr(options.sampling, name), f"nothing: {by_likelihood}")
    if kinds != {"generate"} and options.repeats > 1:
        raise InvalidParameter("repeats", options.repeats, f"1: {by_likelihood}, at least in part")
    if options.task.shots is not None and task.shots is None:
        raise InvalidParameter("shots", options.task.shots, f"nothing: {task.name} has no examples to show")
    if options.task.file is not None and not task.needs_file:
        raise InvalidParameter("file", str(options.task.file), f"nothing: {task.name} makes its own items")
    if options.task.check is not None and task.kind != "mixed":
        raise InvalidParameter("check", str(options.task.check), f"nothing: {task.name} grades its own items")


@dataclass(frozen=True, slots=True)
class _Asking:
    backend: Backend
    task: Task
    options: RunOptions
    told: Told
    worked: Worked
    score_all: ScoreAll


def _answers(asking: _Asking, items: Sequence[Item], done: Sequence[ItemRecord]) -> Iterator[ItemRecord]:
    """Records of all that is not answered yet, as they are made."""
    answered = {record.key for record in done if record.error is None}
    wanted = [(item, repeat) for repeat in range(asking.options.repeats) for item in items]
    left = [(item, repeat) for item, repeat in wanted if (item.id, repeat) not in answered]
    count = len(wanted) - len(left)
    asking.told(count, len(wanted))
    generated = [each for each in left if each[0].kind == "generate"]
    scored = [item for item, _ in left if item.kind != "generate"]
    for made in (_generate(asking, generated), _score(asking, scored)):
        with closing(made):
            for record in made:
                yield record
                count += 1
                asking.told(count, len(wanted))


def _generate(asking: _Asking, wanted: Sequence[tuple[Item, int]]) -> Any:
    requests = (request_of(item, repeat, asking.task, asking.options) for item, repeat in wanted)
    with closing(cast("Any", asking.backend.answer_all(requests))) as answers:
        for number, answer in answers:
            item, repeat = wanted[number]
            if isinstance(answer, HOPELESS):
                raise answer
            yield _graded(asking.task, item, repeat, answer)


def _graded(task: Task, item: Item, repeat: int, answer: Answer | LimpideError) -> ItemRecord:
    try:
        if isinstance(answer, LimpideError):
            raise answer
        return _answered(item, repeat, answer, task.grade(item, answer))
    except LimpideError as error:
        return _failed(item, repeat, error)


def _score(asking: _Asking, items: Sequence[Item]) -> Any:
    with closing(cast("Any", score_items(asking.score_all, items, asking.worked))) as scores:
        for item, scored in scores:
            if isinstance(scored, LimpideError):
                yield _failed(item, 0, scored)
            elif item.kind == "choices":
                grade = grade_choices(item, scored)
                yield _scored(item, grade, item.choices[grade.detail["chosen"]], scored)
            else:
                yield _scored(item, grade_passage(item, scored[0]), "", scored)


def _answered(item: Item, repeat: int, answer: Answer, grade: Grade) -> ItemRecord:
    usage = answer.finished.usage
    return ItemRecord(
        item=item.id,
        cluster=item.cluster,
        slice=item.slice,
        repeat=repeat,
        prompt_sha256=item.prompt_sha256,
        answer=answer.text,
        thinking=answer.thinking,
        tool_calls=tuple({"name": call.name, "arguments": call.arguments} for call in answer.tool_calls),
        finish=answer.finished.reason,
        score=grade.score,
        detail=grade.detail,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        thinking_tokens=usage.thinking_tokens,
        answer_tokens=usage.answer_tokens,
        seconds=usage.prefill_seconds + usage.decode_seconds,
        error=None,
    )


def _scored(item: Item, grade: Grade, answer: str, scored: Sequence[Scored]) -> ItemRecord:
    return _without_generation(item, 0, answer=answer, grade=grade, tokens=sum(len(each.logprobs) for each in scored))


def _failed(item: Item, repeat: int, error: LimpideError) -> ItemRecord:
    return _without_generation(item, repeat, error=f"{type(error).__name__}: {error.what}")


def _without_generation(
    item: Item, repeat: int, *, answer: str = "", grade: Grade | None = None, tokens: int = 0, error: str | None = None
) -> ItemRecord:
    """tokens: of the continuations that were scored; what comes before them is not counted here."""
    return ItemRecord(
        item=item.id,
        cluster=item.cluster,
        slice=item.slice,
        repeat=repeat,
        prompt_sha256=item.prompt_sha256,
        answer=answer,
        thinking="",
        tool_calls=(),
        finish=None,
        score=grade.score if grade else None,
        detail=grade.detail if grade else {},
        prompt_tokens=tokens,
        cached_tokens=0,
        thinking_tokens=0,
        answer_tokens=0,
        seconds=0.0,
        error=error,
    )
