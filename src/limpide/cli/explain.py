"""`limpide explain`: the page of an error, from the terminal."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from limpide.cli.running import PanelCommand
from limpide.core.errors import InvalidParameter

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def pages() -> dict[str, Path]:
    """Error name → its page. In a checkout the pages are in docs/errors; in a wheel they travel with the package."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "docs" / "errors", package.parent.parent / "docs" / "errors"):
        if folder.is_dir():
            return {page.stem: page for page in sorted(folder.glob("*.md")) if page.stem != "index"}
    return {}


@app.command(cls=PanelCommand)
def explain(
    error: Annotated[str | None, typer.Argument(help="Name of the error, as its message gave it.")] = None,
) -> None:
    """Show the page of an error: what it means, why it happens and what to do. Without a name: all names.

    \b
    Examples:
      limpide explain unknown-model
      limpide explain
    """
    known = pages()
    if error is None:
        sys.stdout.write("\n".join(known) + "\n")
        return
    if error not in known:
        near = get_close_matches(error, known, n=3)
        raise InvalidParameter(
            "error", error, f"one of {', '.join(known)}", hint=f"limpide explain {near[0]}" if near else None
        )
    sys.stdout.write(known[error].read_text(encoding="utf-8"))
