"""`limpide eval`: ask a task of a model, go on with a run, show what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from limpide.cli.harness import PREFIX, run_harness
from limpide.cli.opening import Choice, open_model
from limpide.cli.options import (
    SAMPLING,
    ContextOption,
    LicenceOption,
    NumericsChoice,
    NumericsOption,
    OfflineOption,
    ThinkOption,
    ThreadsOption,
    given,
)
from limpide.cli.progress import counting
from limpide.cli.report import report
from limpide.cli.running import PanelCommand
from limpide.cli.scores import print_scores, scores_of
from limpide.cli.scoring import Works, check_parity, known_scores, prove_parity, say_parity
from limpide.cli.tables import print_table
from limpide.cli.terminal import note
from limpide.core.errors import EndpointFailed, EndpointRefused, EngineStopped, InvalidParameter
from limpide.core.results import to_json
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking

if TYPE_CHECKING:
    from limpide.evals.run import Run


class RunByDefault(TyperGroup):
    """`limpide eval MODEL …` is `limpide eval run MODEL …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what is no subcommand."""
        if args and args[0] not in (*self.commands, "--help", "-h", "--list"):
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


SAMPLE = "32"
"""Requests that are proved if no number is given."""


class RunCommand(PanelCommand):
    """`--prove-parity` may stand without a number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the number there."""
        filled = []
        for word, following in zip(args, [*args[1:], ""], strict=True):
            filled.append(word)
            if word == "--prove-parity" and not following.isdecimal():
                filled.append(SAMPLE)
        parsed: list[str] = super().parse_args(ctx, filled)
        return parsed


app = typer.Typer(cls=RunByDefault, rich_markup_mode=None, add_completion=False)

HELP = """\
Measure what a model can do: `limpide eval MODEL --task NAME`.

`limpide eval MODEL …` is short for `limpide eval run MODEL …`, whose --help has every option.

\b
Examples:
  limpide eval --list
  limpide eval smollm2-135m --task choices --limit 40
  limpide eval smollm2-135m --task instructions --think low -o runs/smollm2
  limpide eval show runs/smollm2
  limpide eval report runs/smollm2 -o report.html
"""


@app.callback(invoke_without_command=True, help=HELP)
def top(
    context: typer.Context,
    listed: Annotated[bool, typer.Option("--list", help="Show every task and leave.")] = False,
) -> None:
    """The list of tasks, or the help."""
    if listed:
        _list()
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


@app.command("run", cls=RunCommand)
def run(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A name from `limpide models list`, a file, a folder, or http://address/v1#name."
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="NAME", help="What to ask: see --list; or lm-eval:NAME. Repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="So many items.")] = None,
    shots: Annotated[int | None, typer.Option(metavar="N", help="Solved examples before the question.")] = None,
    repeats: Annotated[int, typer.Option(metavar="N", help="Answers to each item, at a temperature above 0.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the items, and of every answer.")] = 0,
    think: ThinkOption = "off",
    file: Annotated[Path | None, typer.Option("--file", metavar="PATH", help="Your questions, or your text.")] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE.py", help="Your own check of answers; it is run.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Keep the run here, in a folder for each task."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in the folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each task.")] = False,
    parity: Annotated[
        int | None,
        typer.Option(
            "--prove-parity",
            min=1,
            metavar="[N]",
            help="Compute N scores (32) again, each by itself, and show how far they are off.",
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Use scores that were computed before, and keep new ones.")
    ] = True,
    at_once: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Requests under way together, to an address.")
    ] = 8,
    temperature: Annotated[
        float | None, typer.Option(help="0 takes the most likely token.", rich_help_panel=SAMPLING)
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Keep the likeliest tokens of this share.", rich_help_panel=SAMPLING)
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Limit of the answer, thinking apart.", rich_help_panel=SAMPLING)
    ] = None,
    numerics: NumericsOption = NumericsChoice.FAST,
    context: ContextOption = None,
    threads: ThreadsOption = None,
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Ask one or more tasks of a model.

    With -o, every answer is on the disk as soon as it is graded, and what is stopped can be gone on with by --resume.

    \b
    Examples:
      limpide eval run smollm2-135m --task choices --limit 40
      limpide eval run smollm2-135m --task my --file questions.jsonl -o runs/mine
      limpide eval run smollm2-135m --task my --file questions.jsonl -o runs/mine --resume
    """
    from limpide.evals.run import RunOptions, evaluate
    from limpide.evals.task import TaskOptions
    from limpide.evals.tasks import find_task

    choice = Choice(model, numerics, offline, tuple(accept_licence or ()), context, threads, at_once=at_once)
    harness = [name for name in dict.fromkeys(task or ()) if name.startswith(PREFIX)]
    if harness:
        others: dict[str, object] = {name: name for name in task or () if name not in harness}
        others |= given({"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "output": output})
        others |= given({"check": check, "prove-parity": parity, "think": None if think == "off" else think})
        others |= given({"repeats": repeats if repeats > 1 else None, "seed": seed or None, "resume": resume or None})
        for name, value in others.items():
            raise InvalidParameter(name, str(value), f"nothing beside {harness[0]}, which lm-eval asks and grades")
        names = [name.removeprefix(PREFIX) for name in harness]
        run_harness(choice, names, folder=file, shots=shots, limit=limit, json=json)
        return
    tasks = [find_task(name) for name in dict.fromkeys(task or ())]
    if not tasks:
        raise InvalidParameter("task", None, "the name of a task", hint="limpide eval --list")
    if resume and output is None:
        raise InvalidParameter("resume", True, "-o FOLDER beside it: the run to go on with")
    options = RunOptions(
        task=TaskOptions(seed=seed, limit=limit, shots=shots, file=file, check=check),
        thinking=Thinking.parse(think),
        sampling=Sampling(**given({"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens})),
        repeats=repeats,
    )
    # What is wrong with the questions is said before a model is loaded.
    items = {each.name: each.items(options.task) for each in tasks}
    with open_model(choice) as opened, known_scores(used=cache) as known:
        if parity is not None:
            check_parity(opened.backend, items.items(), parity)
        for each in tasks:
            folder, works = output / each.name if output else None, Works()
            try:
                with counting(each.name) as told:
                    done = evaluate(
                        opened.backend,
                        each,
                        options,
                        folder,
                        resume=resume,
                        told=told,
                        worked=works.told,
                        cache=known,
                    )
            except (KeyboardInterrupt, EngineStopped, EndpointFailed, EndpointRefused):
                if folder is not None:
                    note(f"what was answered is in {folder}; the same command with --resume goes on")
                raise
            works.say()
            proved = None
            if parity is not None:
                proved = prove_parity(opened.backend, items[each.name], sample=parity, seed=seed)
            if json:
                more = {"scoring": works.as_dict(), "parity": proved.as_dict() if proved else None}
                _write_json(done, {name: value for name, value in more.items() if value is not None})
            else:
                print_scores(done)
                if proved:
                    say_parity(proved)


@app.command("show", cls=PanelCommand)
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of several.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each run.")] = False,
) -> None:
    """Show the scores of a run that was kept.

    \b
    Examples:
      limpide eval show runs/smollm2
      limpide eval show runs/smollm2/choices --json
    """
    from limpide.evals.run import Run, find_runs

    for folder in find_runs(run):
        found = Run.read(folder)
        if json:
            _write_json(found, {})
        else:
            print_scores(found)


app.command("report", cls=PanelCommand)(report)


def _write_json(run: Run, more: dict[str, Any]) -> None:
    sys.stdout.write(to_json({"manifest": run.manifest.as_dict(), "scores": scores_of(run), **more}) + "\n")


def _list() -> None:
    from limpide.evals.tasks import TASKS, find_task

    tasks = [find_task(name) for name in TASKS]
    print_table([("TASK", "VERSION", "KIND", "WHAT"), *((t.name, t.version, t.kind, t.about) for t in tasks)])
