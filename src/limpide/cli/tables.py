"""Columns and labelled lines, for terminals of any width and for pipes."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Rows in columns, none wrapped: what a pipe cuts apart stays on its line."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_fields(rows: Sequence[tuple[str, str]]) -> None:
    """Labels and texts; a text that is wider than the terminal goes on below itself. Items begin with “- ”."""
    indent = 2 + max(len(label) for label, _ in rows)
    room = max(20, shutil.get_terminal_size().columns - indent)
    for label, text in rows:
        hanging = "  " if text.startswith("- ") else ""
        lines = textwrap.wrap(text, room, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines or [""]):
            print(f"{'' if number else label:<{indent}}{line}".rstrip())
