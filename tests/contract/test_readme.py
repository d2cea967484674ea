"""What the README and the docs say can be typed, can be typed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = 'pip install -c constraints.txt . && limpide ask "What is the capital of France?"'
SERVED = "http://127.0.0.1:8000/v1"
TEST = "pip install -c constraints.txt -e '.[test]' && pytest"

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page, "bash") for line in block.splitlines() if line.strip()]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """`limpide serve` with the default model, where it says that it listens."""
    command = [str(Path(sysconfig.get_path("scripts")) / "limpide"), "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def test_the_two_commands() -> None:
    assert [line for line in commands(ROOT / "README.md") if line.startswith("pip ")] == [INSTALL, TEST]


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [line for line in script.splitlines() if "pip " in line or "pytest" in line] == [TEST]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.usefixtures("smollm2_path")
def test_the_first_answer_names_paris(tmp_path: Path) -> None:
    done = shell(INSTALL.partition(" && ")[2], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert re.search(r"\d+ prompt .*\d+ answer tokens · .* tokens/s · first token ", done.stderr)
    assert "Warning" not in done.stderr


@pytest.mark.usefixtures("smollm2_path")
@pytest.mark.parametrize(
    ("page", "command"),
    [(page, line) for page in PAGES for line in commands(page) if not line.startswith("pip ") and line not in INSTALL],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_command_of_the_docs(page: Path, command: str, tmp_path: Path) -> None:
    done = shell(command, tmp_path)
    assert done.returncode == 0, f"{page.name}: {done.stderr}"
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("smollm2_path")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_python_of_the_docs(page: Path, tmp_path: Path) -> None:
    """The blocks of a page are one program. Where it speaks to a server, there is one, on a port that is free."""
    space: dict[str, object] = {"__name__": "docs"}
    programs = blocks(page, "python")
    with contextlib.ExitStack() as stack:
        if any(SERVED in program for program in programs):
            url = stack.enter_context(served(tmp_path))
            programs = [program.replace(SERVED, url) for program in programs]
        shown = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        for number, program in enumerate(programs):
            exec(compile(program, f"{page.name}[{number}]", "exec"), space)
    assert shown.getvalue().strip()


def test_links_of_the_docs_lead_somewhere() -> None:
    broken = []
    for page in [*PAGES, *sorted((ROOT / "docs" / "errors").glob("*.md")), ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
