"""How to check the card."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Commands, Paragraph
from limpide.cards.evidence import Evidence

NAME = "check"
TITLE = "How to check this card"


def data(evidence: Evidence) -> dict[str, Any]:
    """What made it."""
    return {"made_with": evidence.facts.made_with, "model": evidence.facts.name}


def blocks(found: dict[str, Any]) -> list[Block]:
    """The command, and what it does."""
    return [
        Paragraph(
            "No number here was typed: all follow from the records in evidence/. In the folder of this card, the first "
            "command computes them again, without model or network, and compares every line and hash; the second also "
            "asks the model some of the questions again."
        ),
        Commands(("limpide verify . --sample 0", "limpide verify .")),
        Paragraph(f"Made with {found['made_with']} from {found['model']}."),
    ]
