"""`limpide launch`: environment variables for clients, printed for a shell or set for a command."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from limpide.cli.clients import CLIENTS, NO_KEY, Client, Server
from limpide.cli.running import PanelCommand
from limpide.cli.terminal import note
from limpide.core.errors import BadRequest, InvalidParameter

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Shell(StrEnum):
    """Whose assignments are printed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def _fish(name: str, value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"$env:{name} = '{quoted}'"


def _posix(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


ASSIGNMENTS: dict[Shell, Callable[[str, str], str]] = {
    Shell.BASH: _posix,
    Shell.ZSH: _posix,
    Shell.FISH: _fish,
    Shell.POWERSHELL: _powershell,
}


@app.command(cls=PanelCommand, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def launch(
    client: Annotated[str, typer.Argument(help=f"One of {', '.join(CLIENTS)}.", show_default=False)],
    command: Annotated[
        list[str] | None, typer.Argument(help="After --: a command to run with the variables set.", show_default=False)
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="LIMPIDE_URL", metavar="URL", help="Where the server is.")
    ] = "http://127.0.0.1:8000",
    model: Annotated[
        str, typer.Option("--model", "-m", envvar="LIMPIDE_MODEL", metavar="NAME", help="Which model to ask.")
    ] = "smollm2-135m",
    key: Annotated[
        str | None,
        typer.Option(envvar="LIMPIDE_API_KEY", metavar="KEY", help="Where the server needs one.", show_default=False),
    ] = None,
    shell: Annotated[
        Shell | None, typer.Option(help="Whose assignments to print. Default: this shell's.", show_default=False)
    ] = None,
) -> None:
    """Point a client at this server: print the variables that it reads, or run a command with them set.

    \b
    Examples:
      limpide launch openai
      eval "$(limpide launch openai)"
      limpide launch claude -m qwen3-4b -- claude
    """
    found = _client(client)
    server = Server(_address(url), key or NO_KEY, model)
    if command:
        if found.file:
            raise BadRequest(f"{found.title} reads a file, not variables", hint=f"limpide launch {client} prints it")
        raise typer.Exit(_run(found, server, command))
    if found.file:
        where, content = found.file
        sys.stdout.write(content(server))
        note(f"belongs in {where}")
        return
    assign = ASSIGNMENTS[shell or _this_shell(os.environ)]
    for name, value in found.environment(server).items():
        print(assign(name, value))
    if options := found.options(server):
        note(f"and: {found.command} {shlex.join(options)}")


def _client(name: str) -> Client:
    if name not in CLIENTS:
        near = get_close_matches(name, CLIENTS, n=1)
        hint = f"did you mean {near[0]}?" if near else None
        raise InvalidParameter("client", name, f"one of {', '.join(CLIENTS)}", hint=hint)
    return CLIENTS[name]


def _address(url: str) -> str:
    """The server's address without a path. Raises InvalidParameter."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidParameter("url", url, "an address such as http://127.0.0.1:8000")
    return url.rstrip("/").removesuffix("/v1")


def _this_shell(environment: Mapping[str, str]) -> Shell:
    name = Path(environment.get("SHELL", "")).stem
    with suppress(ValueError):
        return Shell(name)
    return Shell.POWERSHELL if os.name == "nt" else Shell.BASH


def _run(client: Client, server: Server, command: list[str]) -> int:
    """Run it in our place, with our streams; its exit code is ours."""
    program = shutil.which(command[0])
    if program is None:
        raise InvalidParameter("command", command[0], "a program that can be found")
    options = client.options(server) if Path(command[0]).stem == client.command else ()
    environment = {**os.environ, **client.environment(server)}
    done = subprocess.run([program, *options, *command[1:]], env=environment, check=False)  # noqa: S603
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
