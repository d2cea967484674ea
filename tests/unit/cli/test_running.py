"""Errors become messages and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from limpide.cli import COMMANDS, running
from limpide.cli.running import run
from limpide.core.errors import CorruptModelFile, UnknownModel


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Run a command that raises."""

    def go(error: BaseException) -> int:
        app = typer.Typer()

        @app.command()
        def ask() -> None:
            raise error

        module = type(sys)("limpide.cli.ask")
        module.app = app  # type: ignore[attr-defined]
        real: Callable[[str], Any] = running.import_module
        monkeypatch.setattr(running, "import_module", lambda name: module if name == "limpide.cli.ask" else real(name))
        return run(["ask"])

    monkeypatch.delenv("LIMPIDE_DEBUG", raising=False)
    return go


def test_our_errors(raising: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(UnknownModel("no model is called 'x'", expected="a name", hint="smollm2-135m")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: no model is called 'x'\n  expected: a name\n  try: smollm2-135m\n"
        "  more: docs/errors/unknown-model.md, or: limpide explain unknown-model\n"
    )
    assert raising(CorruptModelFile("broken \x1b[2J")) == 4


def test_a_traceback_only_when_asked_for(
    raising: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert raising(ZeroDivisionError("division by zero")) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "ZeroDivisionError: division by zero" in err
    assert "LIMPIDE_DEBUG=1" in err
    monkeypatch.setenv("LIMPIDE_DEBUG", "1")
    assert raising(ZeroDivisionError("division by zero")) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_system_refuses(raising: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(PermissionError(13, "Permission denied", "secret")) == 1
    assert "the system refused: Permission denied (secret)" in capsys.readouterr().err


def test_an_interrupt_is_130(raising: Callable[[BaseException], int]) -> None:
    assert raising(KeyboardInterrupt()) == 130


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from limpide import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"limpide {__version__}\n"


def test_every_command_has_its_file() -> None:
    for name in COMMANDS:
        assert isinstance(running.import_module(f"limpide.cli.{name}").app, typer.Typer)


def test_a_reader_that_leaves_is_no_error() -> None:
    """`limpide explain unknown-model | head -0`: not a word on stderr."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "limpide", "explain", "unknown-model"],
            stdout=write, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(write)
    assert done.stderr == b""
    assert done.returncode in (1, 141)
