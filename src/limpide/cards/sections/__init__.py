"""The sections of a card, one file each. A new one is a file and a line in `SECTIONS`."""

from __future__ import annotations

from typing import Any, Protocol

from limpide.cards.blocks import Block
from limpide.cards.evidence import Evidence
from limpide.cards.sections import check, evaluation, licence, numerics, safety, speed, what


class Section(Protocol):
    """A module: what it computes, and how that reads. The blocks see nothing but the data, as card.json has it."""

    NAME: str
    TITLE: str

    def data(self, evidence: Evidence) -> dict[str, Any] | None:
        """Plain data; None if there is no evidence."""

    def blocks(self, found: dict[str, Any]) -> list[Block]:
        """The data for people."""


SECTIONS: tuple[Section, ...] = (what, licence, speed, evaluation, numerics, safety, check)
