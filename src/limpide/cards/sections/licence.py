"""What the terms ask: from the catalog."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Bullets, Paragraph
from limpide.cards.evidence import Evidence
from limpide.core.strict import plain

NAME = "licence"
TITLE = "Licence: what it asks of you"


def data(evidence: Evidence) -> dict[str, Any] | None:
    """All terms that apply; None if nobody knows any."""
    facts = evidence.facts
    if not facts.licences and facts.stated_licence is None:
        return None
    return {"terms": plain(facts.licences), "stated_in_the_weights": facts.stated_licence}


def blocks(found: dict[str, Any]) -> list[Block]:
    """Each licence and its obligations."""
    made: list[Block] = []
    for terms in found["terms"]:
        allows = {"yes": "Commercial use is allowed.", "no": "Commercial use is not allowed."}.get(
            terms["commercial"], "Commercial use is allowed within limits."
        )
        made.append(Paragraph(f"{terms['name']} ({terms['spdx']}), published at {terms['terms']}. {allows}"))
        made.append(Bullets(tuple(terms["obligations"]) or ("nothing beyond the terms themselves",)))
    if not found["terms"]:
        made.append(Paragraph("The catalog does not know this model, so that nothing is said of its obligations here."))
    if found["stated_in_the_weights"]:
        made.append(Paragraph(f"The weights' own metadata say: {found['stated_in_the_weights']}."))
    return [*made, Paragraph("This is a summary, not legal advice; the terms decide.")]
