"""The commands over the scripted backend: everything but the weights is the real thing."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.cli.opening import Choice
from limpide.cli.running import run
from limpide.core.errors import UnknownModel
from limpide.model import Model


@dataclass
class Shown:
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str


@dataclass
class CommandLine:
    """Runs commands on scripted models."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    options: dict[str, Any] = field(default_factory=dict)
    """For the FakeBackend that the next command opens."""
    opened: list[Choice] = field(default_factory=list)
    closed: int = 0

    def open_model(self, choice: Choice) -> Model:
        self.opened.append(choice)
        if choice.reference == "nobody":
            raise UnknownModel("no model is called 'nobody'", hint="smollm2-135m")
        options = {
            "name": choice.reference,
            "context": choice.context,
            "numerics": choice.numerics.value,
            **self.options,
        }
        backend = FakeBackend(**options)
        close = backend.close

        def closing() -> None:
            self.closed += 1
            close()

        self.monkeypatch.setattr(backend, "close", closing)
        return Model.from_backend(backend)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Shown:
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(arguments)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        return Shown(code, out, err)


@pytest.fixture(autouse=True)
def log_of_one_test() -> Iterator[None]:
    """`limpide serve` logs to this test's stderr, which is gone when the next one runs."""
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    level, handlers, disabled = root.level, list(root.handlers), access.disabled
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    access.disabled = disabled


@pytest.fixture
def limpide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[CommandLine]:
    line = CommandLine(capsys, monkeypatch)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LIMPIDE_CACHE", str(tmp_path / "cache"))
    for name in ("LIMPIDE_MODEL", "LIMPIDE_THINK", "LIMPIDE_NUMERICS", "LIMPIDE_CONTEXT", "LIMPIDE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for module in ("ask", "opening", "repl", "bench", "eval", "harness"):
        monkeypatch.setattr(f"limpide.cli.{module}.open_model", line.open_model)
    yield line
    assert line.closed == len([choice for choice in line.opened if choice.reference != "nobody"])
