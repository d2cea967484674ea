"""The command line: one lazily imported file per command; the place that puts everything together.

Each command file holds `app`, a `typer.Typer`. A new command is one file and one line in `COMMANDS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

COMMANDS: dict[str, str] = {
    "ask": "Ask a question and read the answer as it comes.",
    "chat": "Talk with a model; /help inside shows what can be changed.",
    "models": "List, fetch, describe and remove models.",
    "fit": "Say before the download whether, and how fast, a model will run here.",
    "bench": "Measure speed and memory, and how close they are to the machine's limit.",
    "eval": "Measure what a model can do, on tasks or on questions of your own.",
    "compare": "Compare two models on the same items: not worse, worse, or undecided.",
    "card": "Make a model card whose every number follows from runs.",
    "verify": "Check a card: compute its numbers again, and ask the model again.",
    "serve": "Serve models over HTTP, in the form of OpenAI's API.",
    "keys": "Make, list and revoke the keys of the server.",
    "launch": "Point well-known clients and coding agents at this server.",
    "explain": "Show the page of an error: what it means and what to do.",
}
"""Command and one line of help. The command's module is limpide.cli.<name>."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    try:
        _quiet_libraries()
        from limpide.cli.running import run

        code = run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:  # before there is a command that could be interrupted
        code = 130
    sys.exit(code)


def _quiet_libraries() -> None:
    """Keep other libraries' warnings from the user; LIMPIDE_DEBUG=1 lets them through."""
    if os.environ.get("LIMPIDE_DEBUG"):
        return
    import warnings

    warnings.simplefilter("ignore")
    # Read by the libraries when they are imported, which is after this.
    for name, value in {"TORCH_CPP_LOG_LEVEL": "ERROR", "TRANSFORMERS_VERBOSITY": "error"}.items():
        os.environ.setdefault(name, value)
