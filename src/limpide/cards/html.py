"""A card as one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from limpide.cards.blocks import Block, Bullets, Commands, Paragraph, Table

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
td { overflow-wrap: anywhere; min-width: 3rem; }
pre { padding: .8rem; border: 1px solid #8886; overflow-x: auto; }"""


def to_html(title: str, sections: Sequence[tuple[str, Sequence[Block]]]) -> str:
    """The whole file."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_text(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{_text(title)}</h1>",
            *(line for heading, blocks in sections for line in _section(heading, blocks)),
            "</main>",
            "</body>",
            "</html>",
            "",
        )
    )


def _section(heading: str, blocks: Sequence[Block]) -> Iterator[str]:
    yield f"<section>\n<h2>{_text(heading)}</h2>"
    for block in blocks:
        yield from _block(block)
    yield "</section>"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield f"<p>{_text(text)}</p>"
        case Bullets(items):
            yield from ("<ul>", *(f"<li>{_text(item)}</li>" for item in items), "</ul>")
        case Table(head, rows):
            yield '<div class="wide" tabindex="0"><table>'
            yield f"<thead>{_row('th', head)}</thead>"
            yield from ("<tbody>", *(_row("td", row) for row in rows))
            yield "</tbody></table></div>"
        case Commands(lines):
            yield "<pre><code>" + _text("\n".join(lines)) + "</code></pre>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{_text(cell)}</{tag}>" for cell in cells) + "</tr>"


def _text(text: str) -> str:
    return escape(text)
