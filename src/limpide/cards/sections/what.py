"""What it is: from the weights' own metadata."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Paragraph, Table
from limpide.cards.evidence import Evidence

NAME = "what"
TITLE = "What it is"


def data(evidence: Evidence) -> dict[str, Any]:
    """Architecture, sizes and formats."""
    facts = evidence.facts
    return {
        "title": facts.title,
        "publisher": facts.publisher,
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "layers": facts.layers,
        "hidden": facts.hidden,
        "vocabulary": facts.vocabulary,
        "experts": facts.experts,
        "context": facts.context,
        "container": facts.container,
        "bytes": facts.bytes,
        "formats": [{"name": f.name, "tensors": f.tensors, "bytes": f.bytes} for f in facts.formats],
        "weights_sha256": facts.weights_sha256,
    }


def blocks(found: dict[str, Any]) -> list[Block]:
    """A table of sizes, and one of formats."""
    sizes = [
        ("parameters", _whole(found["parameters"])),
        ("layers", _whole(found["layers"])),
        ("width", _whole(found["hidden"])),
        ("vocabulary", _whole(found["vocabulary"])),
        *([("experts per layer", _whole(found["experts"]))] if found["experts"] else []),
        ("context", f"{_whole(found['context'])} tokens" if found["context"] else "not stated"),
        ("weights", f"{_whole(found['bytes'])} bytes"),
        ("sha256 of the weights", found["weights_sha256"]),
    ]
    by = f", by {found['publisher']}" if found["publisher"] else ""
    return [
        Paragraph(f"{found['title']}{by}: architecture {found['architecture']}, stored as {found['container']}."),
        Table(("property", "value"), tuple(sizes)),
        Table(
            ("stored format", "tensors", "bytes"),
            tuple((f["name"], _whole(f["tensors"]), _whole(f["bytes"])) for f in found["formats"]),
        ),
    ]


def _whole(number: int | None) -> str:
    return "not stated" if number is None else f"{number:,}"
