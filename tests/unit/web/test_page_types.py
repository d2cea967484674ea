"""Types of the page: JSDoc, checked by TypeScript's compiler where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from page_server import PAGE

OPTIONS = {
    "checkJs": True, "allowJs": True, "noEmit": True, "strict": True, "target": "esnext", "module": "esnext",
    "moduleResolution": "bundler", "lib": ["esnext", "dom", "dom.iterable", "dom.asynciterable"], "types": [],
    "noUnusedLocals": True, "noUnusedParameters": True, "noImplicitReturns": True, "noFallthroughCasesInSwitch": True,
}  # fmt: skip


def errors(pages: Path, folder: Path) -> list[str]:
    """What the compiler says of all modules below a folder."""
    compiler = shutil.which("tsc")
    if not compiler:
        pytest.skip("TypeScript's compiler is not installed (npm install --global typescript)")
    project = folder / "tsconfig.json"
    project.write_text(json.dumps({"compilerOptions": OPTIONS, "include": [f"{pages.resolve()}/**/*.js"]}))
    run = subprocess.run([compiler, "--project", str(project)], capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1, 2), run.stderr
    return [line for line in run.stdout.splitlines() if "error TS" in line]


def test_types_are_right(tmp_path: Path) -> None:
    assert errors(PAGE, tmp_path) == []


def test_a_wrong_type_would_be_found(tmp_path: Path) -> None:
    pages = tmp_path / "web"
    shutil.copytree(PAGE, pages)
    with (pages / "sse.js").open("a", encoding="utf-8") as module:
        module.write("\n/** @type {number} */\nexport const wrong = 'text';\n")
    [found] = errors(pages, tmp_path)
    assert "sse.js" in found
