"""Imports point downward only; imports inside functions count."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "limpide"

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "formats": {"core"},
    "kernels": {"core"},
    "text": {"core", "formats"},
    "quant": {"core", "formats", "kernels"},
    "hub": {"core", "formats"},
    "layers": {"core", "formats", "quant", "kernels"},
    "cache": {"core"},
    "models": {"core", "formats", "quant", "kernels", "layers"},
    "engine": {"core", "formats", "quant", "kernels", "text", "layers", "cache", "models"},
    "backends": {"core", "formats", "quant", "kernels", "text", "hub", "layers", "cache", "models", "engine"},
    "server": {"core"},
    "evals": {"core"},
    "cards": {"core", "evals"},
}
"""Part → the parts below it that it may know. `layers` and `cache` don't know each other."""
TOP = {"cli", "model", "__init__", "__main__"}
"""These put everything together; nobody below may import them."""
ANYONE_MAY = {"limpide.__version__"}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of everything that a file imports, wherever in it, type checking included."""
    package = ["limpide", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), node.lineno


def violations(path: Path) -> list[str]:
    part = part_of(path)
    if part in TOP:
        return []
    wrong = []
    for name, line in imported(path):
        if not (name == "limpide" or name.startswith("limpide.")) or name in ANYONE_MAY:
            continue
        target = [*name.split("."), "__init__"][1]
        if target != part and target not in MAY_IMPORT[part]:
            wrong.append(f"{path.relative_to(PACKAGE)}:{line} ({part}) imports {name}")
    return wrong


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in sources()} <= MAY_IMPORT.keys() | TOP


def test_the_order_has_no_cycle() -> None:
    done: set[str] = set()
    while ready := {part for part, below in MAY_IMPORT.items() if part not in done and below <= done}:
        done |= ready
    assert done == MAY_IMPORT.keys()


def test_imports_point_downward() -> None:
    assert [wrong for path in sources() for wrong in violations(path)] == []


def test_core_imports_the_standard_library_alone() -> None:
    foreign = [
        f"{path.name}:{line} imports {name}"
        for path in sources()
        if part_of(path) == "core"
        for name, line in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names | {"limpide", "__future__"}
    ]
    assert foreign == []


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("layers", "from limpide.cache import PagedCache"),
        ("cache", "import limpide.layers.attention"),
        ("core", "def f():\n    from limpide import hub"),
        ("models", "from ..engine import Engine"),
        ("text", "from limpide import Model"),
        ("hub", "import importlib\nimportlib.import_module('limpide.cli')"),
    ],
)
def test_the_check_sees_violations(part: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    file = tmp_path / part / "bad.py"
    file.parent.mkdir()
    file.write_text(line)
    assert violations(file)


HEAVY = ("torch", "numba", "transformers", "huggingface_hub", "tokenizers", "jinja2", "rich", "numpy")


@pytest.mark.parametrize(
    "code",
    [
        "import limpide",
        "from limpide import Model",
        "from limpide.cli.running import run; run(['--help'])",
        "from limpide.cli.running import run; run(['ask', '--help'])",
        "from limpide.cli.running import run; run(['--version'])",
    ],
)
def test_light_paths_load_nothing_heavy(code: str) -> None:
    check = f"{code}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"
