"""A card as Markdown. Words from outside (names of models, tasks and parts) can't make markup of themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence

from limpide.cards.blocks import Block, Bullets, Commands, Paragraph, Table

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~&])")


def to_markdown(title: str, sections: Sequence[tuple[str, Sequence[Block]]]) -> str:
    """Title and sections, each with a heading."""
    parts = [f"# {_text(title)}"]
    for heading, blocks in sections:
        parts += [f"## {_text(heading)}", *map(_block, blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _text(text)
        case Bullets(items):
            return "\n".join(f"- {_text(item)}" for item in items)
        case Table(head, rows):
            return "\n".join(map(_row, (head, ("---",) * len(head), *rows)))
        case Commands(lines):
            return "\n".join(("```bash", *lines, "```"))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if cell == '---' else _text(cell) for cell in cells)} |"


def _text(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
