"""`limpide card`: a model card from runs, the catalog and the weights' own metadata."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from limpide.cli.options import LicenceOption, OfflineOption
from limpide.cli.running import PanelCommand

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PanelCommand)
def card(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name from `limpide models list`, a file or a folder.")
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Option("--runs", metavar="FOLDER", help="A run of this model, or a folder of runs. Repeatable."),
    ] = None,
    bench: Annotated[
        Path | None, typer.Option("--bench", metavar="FILE", help="What `limpide bench --json` wrote.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the card goes; it must not be there.")
    ] = Path("card"),
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Make a model card whose every number follows from the records beside it, with its interval.

    README.md is what the Hugging Face hub shows, with .eval_results; card.html is for a browser, card.json for
    machines; evidence/ holds the records, so that `limpide verify` can compute all of it again.
    What was not measured says so.

    \b
    Examples:
      limpide card smollm2-135m --runs runs/smollm2 -o cards/smollm2
      limpide card smollm2-135m --runs runs/off --runs runs/low --bench bench.json
    """
    from limpide.cards import gather, write_card
    from limpide.cli.describing import facts_of
    from limpide.evals.run import find_runs

    found = [run for folder in runs or () for run in find_runs(folder)]
    facts = facts_of(model, offline=offline, accept_licence=tuple(accept_licence or ()))
    written = write_card(output, gather(output, facts, found, bench))
    sys.stdout.write("".join(f"{path}\n" for path in written))
