"""The evidence beside a card: facts of the model, run folders, a speed measurement; all as files that have hashes.

evidence/model.json
evidence/bench.json               if speed was measured
evidence/runs/NAME/manifest.json
evidence/runs/NAME/items.jsonl
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from limpide.cards.facts import ModelFacts
from limpide.core.errors import CorruptRun, InvalidParameter, NotComparable, NotFound
from limpide.core.results import BenchResult, to_json
from limpide.core.strict import plain, read_record
from limpide.evals.run import Run
from limpide.evals.run.folder import ITEMS, MANIFEST

FOLDER = "evidence"
MODEL = "model.json"
BENCH = "bench.json"
RUNS = "runs"
MAX_BYTES = 1 << 20
"""Of the facts and of the measurement; runs have limits of their own."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run within the evidence."""

    name: str
    """Of its folder."""
    run: Run
    manifest_sha256: str
    items_sha256: str
    lines: tuple[tuple[str, str], ...]
    """Hash of each line of the items file, and what it is about."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a card is computed from."""

    facts: ModelFacts
    runs: tuple[KeptRun, ...]
    bench: BenchResult | None
    files: dict[str, str]
    """Path below the card → sha256."""

    @classmethod
    def read(cls, card: Path) -> Self:
        """The evidence in a card's folder. Raises NotFound, CorruptRun (also for facts and measurements)."""
        folder = card / FOLDER
        if not (folder / MODEL).is_file():
            raise NotFound(f"there is no card in {card}", expected=f"a folder with {FOLDER}/{MODEL}")
        facts = ModelFacts.from_dict(_read_json(folder / MODEL))
        bench = read_bench(folder / BENCH) if (folder / BENCH).exists() else None
        paths = sorted((folder / RUNS).iterdir()) if (folder / RUNS).is_dir() else []
        runs = tuple(_kept(path) for path in paths if path.is_dir())
        _check(facts, runs, bench)
        files = {str(p.relative_to(card).as_posix()): sha256_of_file(p) for p in evidence_files(card)}
        return cls(facts, runs, bench, files)


def gather(card: Path, facts: ModelFacts, runs: Sequence[Path], bench: Path | None = None) -> Evidence:
    """Copy the evidence into the folder of a card that is to be, byte for byte, and read it there.

    Raises InvalidParameter if there is something already, NotFound, CorruptRun, and NotComparable if a run or the
    measurement is of other weights.
    """
    folder = card / FOLDER
    if folder.exists():
        raise InvalidParameter("output", str(card), "a folder without a card")
    found = [(path, Run.read(path)) for path in runs]
    for path, run in found:
        _check_weights(facts, str(path), run.manifest.backend.weights_sha256)
    if bench is not None:
        _check_weights(facts, str(bench), read_bench(bench).weights_sha256)
    folder.mkdir(parents=True)
    try:
        _copy(folder, facts, found, bench)
        return Evidence.read(card)
    except BaseException:
        shutil.rmtree(folder)
        raise


def evidence_files(card: Path) -> list[Path]:
    """Every file of the evidence itself."""
    return sorted(path for path in (card / FOLDER).rglob("*") if path.is_file())


def read_bench(path: Path) -> BenchResult:
    """What `limpide bench --json` wrote. Raises NotFound, CorruptRun."""
    data = _read_json(path)
    try:
        result = read_record(BenchResult, plain(BenchResult.from_dict(data)))
        if result.as_dict() != data:
            raise InvalidParameter("bench", path.name, "means and deviations that follow from its samples")
        to_json(result)  # refuses what is not finite
    except (InvalidParameter, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise CorruptRun(f"{path} is no measurement of speed: {error}", expected=BenchResult.SCHEMA) from error
    return result


def sha256_of_file(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(folder: Path, facts: ModelFacts, runs: Sequence[tuple[Path, Run]], bench: Path | None) -> None:
    (folder / MODEL).write_text(to_json(facts.as_dict()) + "\n", encoding="utf-8")
    for number, (path, run) in enumerate(runs, 1):
        kept = folder / RUNS / f"{number:02}-{run.manifest.task.replace(':', '-').replace('/', '-')}"
        kept.mkdir(parents=True)
        for name in (MANIFEST, ITEMS):
            shutil.copyfile(path / name, kept / name)
    if bench is not None:
        shutil.copyfile(bench, folder / BENCH)


def _kept(path: Path) -> KeptRun:
    run = Run.read(path)
    if not (path / ITEMS).is_file():
        raise CorruptRun(f"{path} has no {ITEMS}", expected="the records of the run")
    raw = (path / ITEMS).read_bytes().split(b"\n")
    if raw[-1]:
        raise CorruptRun(f"{path / ITEMS}, line {len(raw)} has no end", expected="whole lines")
    lines = tuple((hashlib.sha256(line).hexdigest(), _about(line)) for line in raw[:-1])
    return KeptRun(path.name, run, sha256_of_file(path / MANIFEST), sha256_of_file(path / ITEMS), lines)


def _about(line: bytes) -> str:
    record = json.loads(line)
    return json.dumps([record["item"], record["repeat"]])


def _check(facts: ModelFacts, runs: Sequence[KeptRun], bench: BenchResult | None) -> None:
    for kept in runs:
        _check_weights(facts, kept.name, kept.run.manifest.backend.weights_sha256)
    if bench is not None:
        _check_weights(facts, BENCH, bench.weights_sha256)


def _check_weights(facts: ModelFacts, what: str, weights: str | None) -> None:
    if weights != facts.weights_sha256:
        raise NotComparable(
            f"{what} is of the weights {str(weights)[:12]}, and the card of {facts.weights_sha256[:12]}",
            expected="evidence of the card's own weights",
        )


def _read_json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFound(f"there is no file {path}") from None
    if len(data) > MAX_BYTES:
        raise CorruptRun(f"{path} is too large", expected=f"at most {MAX_BYTES} bytes")
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CorruptRun(f"{path} is no JSON: {error}") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
