"""`limpide compare`: two models on the same items, with a verdict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limpide.cli.opening import Choice, open_model
from limpide.cli.options import (
    SAMPLING,
    LicenceOption,
    NumericsChoice,
    NumericsOption,
    OfflineOption,
    ThinkOption,
    ThreadsOption,
    given,
)
from limpide.cli.progress import counting
from limpide.cli.running import PanelCommand
from limpide.cli.scoring import known_scores
from limpide.core.errors import InvalidParameter, NotComparable
from limpide.core.results import to_json

if TYPE_CHECKING:
    from limpide.evals.pairing import Pairing
    from limpide.evals.registration import Registration
    from limpide.evals.run import Run, RunOptions
    from limpide.evals.task import Task

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXIT_WORSE = 10
EXIT_UNDECIDED = 11


@app.command(cls=PanelCommand)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The model in use, or the folder of its run or runs.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The candidate, likewise.")],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="NAME", help="What to ask; with runs: only these of them. Repeatable."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", metavar="SHARE", help="What B may lose: 0.03 is three points. Fix it beforehand."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="So many items.")] = None,
    shots: Annotated[int | None, typer.Option(metavar="N", help="Solved examples before the question.")] = None,
    repeats: Annotated[int, typer.Option(metavar="N", help="Answers to each item, at a temperature above 0.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the items and answers, and of the test.")] = 0,
    think: ThinkOption = "off",
    file: Annotated[Path | None, typer.Option("--file", metavar="PATH", help="Your own questions.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Keep both runs here, and what was promised before."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in the folder.")] = False,
    items: Annotated[
        int, typer.Option("--items", min=0, metavar="N", help="Show so many items on which they differ.")
    ] = 10,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, with every item on which they differ.")
    ] = False,
    at_once: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Requests under way together, to an address.")
    ] = 8,
    temperature: Annotated[
        float | None, typer.Option(help="0 takes the most likely token.", rich_help_panel=SAMPLING)
    ] = None,
    numerics: NumericsOption = NumericsChoice.FAST,
    threads: ThreadsOption = None,
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Compare two models, or two runs, item by item: is B not worse than A by more than the margin?

    Exit codes: 0 NOT WORSE (or no margin was given), 10 WORSE, 11 UNDECIDED; anything else is an error.
    A margin that is given when B's results are there already is called post hoc.

    \b
    Examples:
      limpide compare smollm2-135m ./mine.gguf --task choices --margin 0.03 -o runs/mine
      limpide compare runs/mine/a runs/mine/b --margin 0.03
      limpide compare runs/old runs/new --task choices --json
    """
    from limpide.cli.comparison import print_comparison
    from limpide.evals.compare import compare as compared
    from limpide.evals.statistics import Verdict
    from limpide.evals.statistics.noninferiority import check_margin

    if margin is not None:
        check_margin(margin)
    are_runs = [Path(side).is_dir() and _holds_runs(Path(side)) for side in (a, b)]
    if all(are_runs):
        unused = {"limit": limit, "shots": shots, "file": file, "output": output, "temperature": temperature}
        unused |= {"repeats": repeats if repeats > 1 else None, "resume": resume or None}
        for name, value in unused.items():
            if value is not None:
                raise InvalidParameter(name, str(value), "nothing: two runs are compared as they are")
        pairings, promised = _runs(Path(a), Path(b), tuple(task or ()))
    elif any(are_runs):
        raise NotComparable(
            f"{a if are_runs[0] else b} is a run and {b if are_runs[0] else a} is none",
            expected="two runs, or two models",
            hint="limpide eval MODEL --task … -o FOLDER makes a run",
        )
    else:
        from limpide.core.sampling import Sampling
        from limpide.core.thinking import Thinking
        from limpide.evals.run import RunOptions
        from limpide.evals.task import TaskOptions

        options = RunOptions(
            TaskOptions(seed=seed, limit=limit, shots=shots, file=file),
            Thinking.parse(think),
            Sampling(**given({"temperature": temperature})),
            repeats,
        )
        licences = tuple(accept_licence or ())
        models = (
            Choice(a, numerics, offline, licences, None, threads, at_once=at_once),
            Choice(b, numerics, offline, licences, None, threads, at_once=at_once),
        )
        pairings, promised = _models(models, tuple(task or ()), options, margin, output, resume=resume)
    found = compared(pairings, margin=margin, registrations=promised, seed=seed)
    if json:
        sys.stdout.write(to_json(found.as_dict()) + "\n")
    else:
        print_comparison(found, shown=items)
    code = {Verdict.WORSE: EXIT_WORSE, Verdict.UNDECIDED: EXIT_UNDECIDED}.get(found.verdict or Verdict.NOT_WORSE, 0)
    if code:
        raise typer.Exit(code)


def _holds_runs(folder: Path) -> bool:
    return (folder / "manifest.json").is_file() or any(folder.glob("*/manifest.json"))


def _runs(a: Path, b: Path, wanted: tuple[str, ...]) -> tuple[list[Pairing], list[Registration | None]]:
    """The runs of both folders, task by task. Raises NotComparable if one has a task that the other lacks."""
    from limpide.evals.pairing import pair
    from limpide.evals.registration import registration_of

    of_a, of_b = _by_task(a), _by_task(b)
    tasks = wanted or tuple(dict.fromkeys((*of_a, *of_b)))
    for task in tasks:
        for folder, runs in ((a, of_a), (b, of_b)):
            if task not in runs:
                raise NotComparable(
                    f"there is no run of {task} in {folder}",
                    expected="the same tasks on both sides",
                    hint="--task NAME compares some of them",
                )
    pairings = [pair(of_a[task][1], of_b[task][1]) for task in tasks]
    return pairings, [registration_of(of_b[task][0]) for task in tasks]


def _by_task(folder: Path) -> dict[str, tuple[Path, Run]]:
    from limpide.evals.run import Run, find_runs

    found: dict[str, tuple[Path, Run]] = {}
    for path in find_runs(folder):
        run = Run.read(path)
        if run.manifest.task in found:
            raise NotComparable(
                f"{folder} holds several runs of {run.manifest.task}", expected="one", hint="name the folder of one run"
            )
        found[run.manifest.task] = path, run
    return found


def _models(
    models: tuple[Choice, Choice],
    names: tuple[str, ...],
    options: RunOptions,
    margin: float | None,
    output: Path | None,
    *,
    resume: bool,
) -> tuple[list[Pairing], list[Registration | None]]:
    """Run the tasks with A, then with B; what is promised is written down before either begins."""
    from limpide.evals.pairing import pair
    from limpide.evals.registration import promise, register
    from limpide.evals.statistics.noninferiority import ALPHA
    from limpide.evals.tasks import find_task

    tasks = [find_task(name) for name in dict.fromkeys(names)]
    if not tasks:
        raise InvalidParameter("task", None, "the name of a task", hint="limpide eval --list")
    if resume and output is None:
        raise InvalidParameter("resume", True, "-o FOLDER beside it: the comparison to go on with")
    for each in tasks:
        each.items(options.task)  # what is wrong with the questions is said before a model is loaded
    promised = None
    if margin is not None:
        a, b = models
        promised = promise(a.reference, b.reference, tuple(each.name for each in tasks), margin, ALPHA)
        if output is not None:
            promised = register(output, promised)
    folders = [output / side if output else None for side in ("a", "b")]
    sides = [_evaluated(*each, tasks, options, resume=resume) for each in zip(models, folders, strict=True)]
    return [pair(*each) for each in zip(*sides, strict=True)], [promised] * len(tasks)


def _evaluated(
    model: Choice, folder: Path | None, tasks: list[Task], options: RunOptions, *, resume: bool
) -> list[Run]:
    from limpide.evals.run import evaluate

    done = []
    with open_model(model) as opened, known_scores() as cache:
        for each in tasks:
            with counting(f"{each.name}, {opened.backend.info.name}") as told:
                kept = folder / each.name if folder else None
                done.append(evaluate(opened.backend, each, options, kept, resume=resume, told=told, cache=cache))
    return done
