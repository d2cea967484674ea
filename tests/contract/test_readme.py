"""What the README and the docs say can be typed, can be typed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sysconfig
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = 'pip install -c constraints.txt . && limpide ask "What is the capital of France?"'
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
def test_python_of_the_docs(page: Path) -> None:
    """The blocks of a page are one program."""
    space: dict[str, object] = {"__name__": "docs"}
    with contextlib.redirect_stdout(io.StringIO()) as shown, warnings.catch_warnings():
        for number, block in enumerate(blocks(page, "python")):
            exec(compile(block, f"{page.name}[{number}]", "exec"), space)
    assert shown.getvalue().strip()


def test_links_of_the_docs_lead_somewhere() -> None:
    broken = []
    for page in [*PAGES, *sorted((ROOT / "docs" / "errors").glob("*.md")), ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
