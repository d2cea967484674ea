"""Check a card without model or network: compute it again from its evidence, and compare every line and hash."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from limpide.cards.evidence import Evidence, evidence_files, sha256_of_file
from limpide.cards.forms import JSON, MARKDOWN, forms
from limpide.cards.metadata import EVAL_RESULTS
from limpide.core.errors import CorruptRun, InvalidParameter, NotComparable, NotFound

MAX_FORM_BYTES = 64 << 20
UNREADABLE = (CorruptRun, InvalidParameter, NotComparable, NotFound, ArithmeticError, ValueError)
"""What evidence that was tampered with can end in: the last two are numbers beyond all measure."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a card that is not what its evidence says."""

    where: str
    """A file, with the line or the field."""
    what: str


def verify(card: Path) -> list[Finding]:
    """Everything that is wrong with a card; empty if nothing is. Raises NotFound if there is no card."""
    if not any((card / name).is_file() for name in (JSON, MARKDOWN)):
        raise NotFound(f"there is no card in {card}", expected=f"a folder with {JSON}")
    findings = list(_hashes(card))
    try:
        evidence = Evidence.read(card)
        made = forms(evidence)
    except UNREADABLE as error:
        return [*findings, Finding("evidence", f"can't be read, so that no number could be computed again: {error}")]
    return [*findings, *compare_forms(card, made)]


def compare_forms(card: Path, made: Mapping[str, str]) -> list[Finding]:
    """What is written in a card, against what was computed from its evidence: path below the card → text."""
    findings = [finding for name, text in made.items() for finding in _form(card, name, text)]
    expected = {card / name for name in made}
    for folder in (EVAL_RESULTS, "lines"):
        unknown = (path for path in sorted((card / folder).rglob("*")) if path.is_file() and path not in expected)
        findings += [Finding(str(path.relative_to(card)), "does not follow from the evidence") for path in unknown]
    return findings


def _hashes(card: Path) -> Iterator[Finding]:
    """The hashes that card.json states, against the files."""
    try:
        stated = json.loads(_read(card / JSON) or "")["evidence"]
        stated = {str(path): str(entry["sha256"]) for path, entry in stated.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        yield Finding(JSON, "is no card: its hashes can't be read")
        return
    there = {path.relative_to(card).as_posix(): path for path in evidence_files(card)}
    for name in sorted(stated.keys() | there.keys()):
        if name not in there:
            yield Finding(name, "is missing")
        elif name not in stated:
            yield Finding(name, f"is not among the hashes of {JSON}")
        elif sha256_of_file(there[name]) != stated[name]:
            yield Finding(name, f"does not have the hash that {JSON} states")


def _form(card: Path, name: str, computed: str) -> Iterator[Finding]:
    written = _read(card / name)
    if written is None:
        yield Finding(name, "is missing, or no text")
    elif written != computed:
        fields = list(_fields(written, computed)) if name == JSON else []
        yield from (Finding(f"{name}: {where}", what) for where, what in fields)
        if not fields:
            yield from (Finding(f"{name}, line {line}", what) for line, what in _lines(written, computed))


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FORM_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return None


def _lines(written: str, computed: str) -> Iterator[tuple[int, str]]:
    there, wanted = written.split("\n"), computed.split("\n")
    if len(there) == len(wanted):
        blocks = [(n, n + 1, n, n + 1) for n in range(len(there)) if there[n] != wanted[n]]
    else:
        found = SequenceMatcher(None, there, wanted, autojunk=False).get_opcodes()
        blocks = [block for tag, *block in found if tag != "equal"]  # type: ignore[misc]
    for start, end, begin, stop in blocks:
        yield start + 1, _both("\n".join(there[start:end]), "\n".join(wanted[begin:stop]))


def _fields(written: str, computed: str) -> Iterator[tuple[str, str]]:
    try:
        yield from _differences(json.loads(written), json.loads(computed), "")
    except (ValueError, RecursionError):
        return  # then the lines are compared


def _differences(there: Any, wanted: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(there, dict) and isinstance(wanted, dict):
        for key in dict.fromkeys((*wanted, *there)):
            yield from _differences(there.get(key), wanted.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(there, list) and isinstance(wanted, list) and len(there) == len(wanted):
        for number, pair in enumerate(zip(there, wanted, strict=True)):
            yield from _differences(*pair, f"{where}[{number}]")
    elif there != wanted or type(there) is not type(wanted):
        yield where, _both(json.dumps(there, ensure_ascii=False), json.dumps(wanted, ensure_ascii=False))


SHOWN = 160


def _both(there: str, wanted: str) -> str:
    """The two texts around the first place where they part."""
    at = next((n for n, (a, b) in enumerate(zip(there, wanted, strict=False)) if a != b), min(len(there), len(wanted)))
    start = max(0, at - SHOWN // 2)
    return f"says {there[start : start + SHOWN]!r}; the evidence gives {wanted[start : start + SHOWN]!r}"
