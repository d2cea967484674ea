"""Run one command: find it, and turn whatever it raises into a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from limpide import __version__
from limpide.cli import COMMANDS
from limpide.cli.terminal import styled, write
from limpide.core.errors import LimpideError

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

HELP = """\
Run open-weight models on this machine: ask them, let them think or not, measure them, look inside.

\b
  limpide ask "What is the capital of France?"
  limpide ask --think low "Is 91 prime?"
  cat notes.txt | limpide ask --file - "Sum this up in one sentence."
  limpide chat
  limpide models list

LIMPIDE_MODEL, LIMPIDE_THINK, … set defaults in the environment; a flag beats them. LIMPIDE_DEBUG=1 shows tracebacks.
"""


class LazyGroup(TyperGroup):
    """The top command. A command's file is imported when it is called, so that --help stays quick."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = get_command(import_module(f"limpide.cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands in --help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, but a misspelt command names its neighbours."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=3) or list(COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}. Did you mean {' or '.join(near)}?")
        return super().resolve_command(ctx, args)


class PanelCommand(TyperCommand):
    """A command whose options are shown in groups, in plain text that pipes and pagers can show."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options under the heading that their `rich_help_panel` names."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                default = "Options" if param.param_type_name == "option" else "Arguments"
                panels.setdefault(getattr(param, "rich_help_panel", None) or default, []).append(record)
        for heading in sorted(panels, key=lambda name: (name != "Arguments", name == "Options")):
            with formatter.section(heading):
                formatter.write_dl(panels[heading])


def build() -> Any:
    """The whole command line as one command object."""
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )

    @app.callback(help=HELP)
    def top(
        version: bool = typer.Option(
            False, "--version", help="Show the version and leave.", is_eager=True, callback=_version
        ),
    ) -> None:
        """Options of the top command."""

    return get_command(app)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"limpide {__version__}\n")
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Run with these arguments; returns the exit code. Nothing but SystemExit gets out."""
    try:
        code = build().main(args=list(arguments), prog_name="limpide", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except LimpideError as error:
        report(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: nobody should meet a traceback
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # the command line itself was wrong
            return _usage(error)
        return _unexpected(error)


def report(error: LimpideError) -> None:
    """Say on stderr what happened, what was expected, what to try and where to read on."""
    lines = [styled("error: ", "red", sys.stderr), error.what, "\n"]
    if error.expected:
        lines += ["  expected: ", error.expected, "\n"]
    if error.hint:
        lines += ["  try: ", error.hint, "\n"]
    lines += ["  more: docs/errors/", error.slug, ".md, or: limpide explain ", error.slug, "\n"]
    sys.stderr.write(lines[0])
    write("".join(lines[1:]), sys.stderr)
    if os.environ.get("LIMPIDE_DEBUG"):
        traceback.print_exception(error)


def _usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(error.format_message() + "\n")
        return 0
    sys.stderr.write(styled("error: ", "red", sys.stderr))
    write(str(error.format_message()) + "\n", sys.stderr)
    if context is not None:
        sys.stderr.write(f"  try: {context.command_path} --help\n")
    return int(error.exit_code)


def _unexpected(error: Exception) -> int:
    sys.stderr.write(styled("error: ", "red", sys.stderr))
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        write(f"the system refused: {error.strerror}{where}\n", sys.stderr)
    else:
        summary = str(error).splitlines()[0] if str(error) else "no message"
        write(f"something went wrong inside Limpide: {type(error).__name__}: {summary}\n", sys.stderr)
        sys.stderr.write("  try: LIMPIDE_DEBUG=1 shows the traceback, which a bug report needs\n")
    if os.environ.get("LIMPIDE_DEBUG"):
        traceback.print_exception(error)
    return 1


def _reader_left() -> int:
    """The reader of our pipe went away, which is its right. Nothing more can be said there, not even at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return 128 + 13
