"""`limpide eval`: ask a task of a model, go on with a run, show what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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
from limpide.cli.tables import print_table
from limpide.cli.terminal import note
from limpide.core.errors import EndpointFailed, EndpointRefused, EngineStopped, InvalidParameter
from limpide.core.results import to_json
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking


class RunByDefault(TyperGroup):
    """`limpide eval MODEL …` is `limpide eval run MODEL …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what is no subcommand."""
        if args and args[0] not in (*self.commands, "--help", "-h", "--list"):
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
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


@app.command("run", cls=PanelCommand)
def run(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A name from `limpide models list`, a file, a folder, or http://address/v1#name."
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="NAME", help="What to ask; see `limpide eval --list`. Repeatable."),
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
    for each in tasks:
        each.items(options.task)  # what is wrong with the questions is said before a model is loaded
    choice = Choice(model, numerics, offline, tuple(accept_licence or ()), context, threads, at_once=at_once)
    with open_model(choice) as opened:
        for each in tasks:
            folder = output / each.name if output else None
            try:
                with counting(each.name) as told:
                    done = evaluate(opened.backend, each, options, folder, resume=resume, told=told)
            except (KeyboardInterrupt, EngineStopped, EndpointFailed, EndpointRefused):
                if folder is not None:
                    note(f"what was answered is in {folder}; the same command with --resume goes on")
                raise
            if json:
                sys.stdout.write(to_json({"manifest": done.manifest.as_dict(), "scores": scores_of(done)}) + "\n")
            else:
                print_scores(done)


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
            sys.stdout.write(to_json({"manifest": found.manifest.as_dict(), "scores": scores_of(found)}) + "\n")
        else:
            print_scores(found)


app.command("report", cls=PanelCommand)(report)


def _list() -> None:
    from limpide.evals.tasks import TASKS, find_task

    tasks = [find_task(name) for name in TASKS]
    print_table([("TASK", "VERSION", "KIND", "WHAT"), *((t.name, t.version, t.kind, t.about) for t in tasks)])
