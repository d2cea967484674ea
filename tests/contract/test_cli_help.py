"""Help that teaches: every command says what it does and shows it."""

from __future__ import annotations

import pytest

from limpide.cli import COMMANDS
from limpide.cli.running import build, run


def paths() -> list[tuple[str, ...]]:
    """Every command and subcommand."""
    import typer

    group = build()
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = group.get_command(typer.Context(group), name)
        children = getattr(command, "commands", {})
        found += [(name, child) for child in children] or [(name,)]
    return found


PATHS = paths()


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_teaches(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: limpide {' '.join(path)}")
    assert f"limpide {' '.join(path)}" in shown.split("\n", 1)[1], "an example that can be copied"
    assert "--install-completion" not in shown


def test_top_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in shown


def test_no_arguments_show_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: limpide" in capsys.readouterr().out


def test_a_misspelt_command_names_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aks"]) == 2
    shown = capsys.readouterr().err
    assert "ask" in shown
    assert "Traceback" not in shown


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--temprature", "1", "hello"]) == 2
    assert "--temprature" in capsys.readouterr().err
