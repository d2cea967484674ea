"""Every form of a card, as a function of its evidence: the same evidence gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limpide.cards.blocks import NOT_MEASURED, Block, Paragraph
from limpide.cards.evidence import Evidence, KeptRun
from limpide.cards.html import to_html
from limpide.cards.markdown import to_markdown
from limpide.cards.metadata import eval_results, front_matter
from limpide.cards.sections import SECTIONS

SCHEMA = "limpide.card/1"
JSON = "card.json"
MARKDOWN = "README.md"
HTML = "card.html"
LINES = "records.sha256"


def card_data(evidence: Evidence) -> dict[str, Any]:
    """The machine's form: the data of every section, and the hashes of all evidence."""
    return {
        "schema": SCHEMA,
        "model": evidence.facts.name,
        "weights_sha256": evidence.facts.weights_sha256,
        "made_with": evidence.facts.made_with,
        "sections": {section.NAME: {"title": section.TITLE, "data": section.data(evidence)} for section in SECTIONS},
        "evidence": {path: {"sha256": digest} for path, digest in sorted(evidence.files.items())},
    }


def forms(evidence: Evidence) -> dict[str, str]:
    """Path below the card → text. The forms for people are made from card.json's data and nothing else."""
    card = card_data(evidence)
    title = f"{card['sections']['what']['data']['title']}: model card"
    sections = [(section.TITLE, _blocks(section.NAME, card)) for section in SECTIONS]
    return {
        JSON: json.dumps(card, ensure_ascii=False, allow_nan=False, indent=1) + "\n",
        MARKDOWN: front_matter(card) + "\n" + to_markdown(title, sections),
        HTML: to_html(title, sections),
        **eval_results(card),
        **{f"lines/{kept.name}.{LINES}": _lines(kept) for kept in evidence.runs},
    }


def write_card(card: Path, evidence: Evidence) -> list[Path]:
    """Write every form beside the evidence; the paths that were written."""
    made = forms(evidence)
    for name, text in made.items():
        path = card / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return [card / name for name in made]


def _blocks(name: str, card: dict[str, Any]) -> list[Block]:
    [section] = [each for each in SECTIONS if name == each.NAME]
    found = card["sections"][name]["data"]
    return [Paragraph(NOT_MEASURED)] if found is None else section.blocks(found)


def _lines(kept: KeptRun) -> str:
    """A line for each record, so that one that was changed can be named."""
    return "".join(f"{digest} {about}\n" for digest, about in kept.lines)
