"""`limpide eval report`: runs as a page to read, and as Markdown and JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from limpide.cli.terminal import note


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="The folder of a run, of several, or of a comparison. Repeatable."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.html", help="Write the page here.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE.md", help="Write the tables here, as Markdown.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE.json", help="Write every number here.")] = None,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE.toml", help="Your list of prices, for what it cost.")
    ] = None,
    items: Annotated[
        int, typer.Option("--items", min=0, metavar="N", help="Show so many items on which two sides differ.")
    ] = 30,
) -> None:
    """Make a report of runs: scores with intervals, slices, differences, costs, and where two models disagree.

    Without -o, --markdown or --json, Markdown goes to the standard output.

    \b
    Examples:
      limpide eval report runs/smollm2 -o report.html
      limpide eval report runs/a runs/b -o report.html --json report.json
      limpide eval report runs/mine --prices prices.toml --markdown report.md
    """
    from limpide.evals.prices import Prices
    from limpide.evals.report import as_html, as_json, as_markdown, find_sources, report_data

    data = report_data(find_sources(runs), Prices.read(prices) if prices else None)
    if output is not None:
        _write(output, as_html(data, items=items))
    if json is not None:
        _write(json, as_json(data) + "\n")
    if markdown is not None:
        _write(markdown, as_markdown(data))
    if output is json is markdown is None:
        sys.stdout.write(as_markdown(data))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    note(f"{path} is written")
