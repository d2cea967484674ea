"""Whatever digit, line or hash of a card is changed: `verify` finds it and names the place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sample_card import make_card

from limpide.cards import Evidence, forms, verify
from limpide.cards.verifying import compare_forms


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_card(tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("card"))


def files(card: Path) -> list[Path]:
    return sorted(path for path in card.rglob("*") if path.is_file())


def test_an_untouched_card_has_nothing_wrong(card: Path) -> None:
    assert verify(card) == []


def test_every_number_of_every_form_is_held(card: Path) -> None:
    """Each number of each form: its last digit is changed, and the form and the line are named."""
    changed = 0
    made = forms(Evidence.read(card))
    for path in (path for path in files(card) if "evidence" not in path.relative_to(card).parts):
        text, name = path.read_text(), path.relative_to(card).as_posix()
        for number in re.finditer(r"\d+(?:[.,]\d+)*", text):
            at = number.end() - 1
            path.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])
            found = compare_forms(card, made)
            assert any(finding.where.startswith(name) for finding in found), (name, number)
            if changed % 40 == 0:
                assert set(found) <= set(verify(card)), "verify is the evidence's hashes and this comparison"
            if name != "card.json":
                line = text.count("\n", 0, at) + 1
                assert [finding.where for finding in found] == [f"{name}, line {line}"]
            changed += 1
        path.write_text(text)
    assert changed > 500
    assert verify(card) == []


def test_every_line_of_the_evidence_is_held(card: Path) -> None:
    """Each line of the evidence, changed in one digit or removed: its file is named, and for records the record."""
    for path in (path for path in files(card) if "evidence" in path.relative_to(card).parts):
        text, name = path.read_text(), path.relative_to(card).as_posix()
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines):
            at = next(m.start() for m in re.finditer(r'(?<="score": )\d|(?<="seed": )\d|\d', line))
            mutant = line[:at] + str((int(line[at]) + 1) % 10) + line[at + 1 :]
            for changed in ([mutant], []):
                path.write_text("".join([*lines[:number], *changed, *lines[number + 1 :]]))
                places = [finding.where for finding in verify(card)]
                assert name in places
                if path.name == "items.jsonl" and changed:
                    hashes = f"lines/{path.parent.name}.records.sha256, line {number + 1}"
                    assert hashes in places or "evidence" in places
        path.write_text(text)
    assert verify(card) == []


@pytest.mark.parametrize("name", ["README.md", "card.html", "card.json", "evidence/model.json"])
def test_a_missing_file_is_named(card: Path, name: str) -> None:
    kept = (card / name).read_bytes()
    (card / name).unlink()
    assert any(finding.where.startswith(name) for finding in verify(card))
    (card / name).write_bytes(kept)


@pytest.mark.parametrize("name", ["evidence/runs/99-more/x", ".eval_results/mine.yaml", "lines/mine"])
def test_an_added_file_is_named(card: Path, name: str) -> None:
    (card / name).parent.mkdir(parents=True, exist_ok=True)
    (card / name).write_text("x")
    assert any(finding.where.startswith(name) for finding in verify(card))
    (card / name).unlink()
    if name.startswith("evidence"):
        (card / name).parent.rmdir()
    assert verify(card) == []


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xfe", b"[" * 100_000, b'{"evidence": [1]}', b'{"evidence": {"a": 1}}'])
def test_rubbish_instead_of_the_card_is_a_finding(card: Path, rubbish: bytes) -> None:
    kept = (card / "card.json").read_bytes()
    (card / "card.json").write_bytes(rubbish)
    assert any(finding.where.startswith("card.json") for finding in verify(card))
    (card / "card.json").write_bytes(kept)
