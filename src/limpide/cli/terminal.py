"""What may be written to a terminal, and how it looks there."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_RESET = "\x1b[0m"
_STYLES = {"dim": "\x1b[2m", "bold": "\x1b[1m", "red": "\x1b[31m"}

# A model's words may hold escape sequences that move the cursor, retitle the window or paste into the shell: on a
# terminal, control characters are shown as pictures instead. Line feed and tab are harmless; carriage return would let
# text be overwritten, so it goes. Bidirectional overrides reorder what the reader sees.
_PICTURES: dict[int, str | None] = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_PICTURES[0x0D] = None
_PICTURES[0x7F] = "\u2421"
_PICTURES.update(dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"))


def harmless(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return text.translate(_PICTURES)


def colour_allowed(stream: TextIO) -> bool:
    """Whether this stream wants colour: a terminal that can, and nobody said no (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sees this stream as it is written."""
    try:
        return stream.isatty()
    except ValueError:  # already closed
        return False


def styled(text: str, style: str, stream: TextIO) -> str:
    """The text in a style, where the stream allows it."""
    return f"{_STYLES[style]}{text}{_RESET}" if text and colour_allowed(stream) else text


def write(text: str, stream: TextIO, *, style: str | None = None) -> None:
    """Write text that a model or a stranger made: as it is into files and pipes, harmless on a terminal."""
    if is_terminal(stream):
        text = harmless(text)
    stream.write(styled(text, style, stream) if style else text)
    stream.flush()


def note(text: str) -> None:
    """One line beside the answer, on stderr."""
    write(text, sys.stderr, style="dim")
    sys.stderr.write("\n")
    sys.stderr.flush()
