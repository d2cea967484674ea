"""Read what a person types, line by line: history at a terminal, plain lines from a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from limpide.cli.terminal import is_terminal
from limpide.core.errors import InvalidText

BLOCK = '"""'
HISTORY_LINES = 1000


class Lines:
    """The turns that a person types: one line, lines joined by a closing backslash, or a block in triple quotes."""

    def __init__(self, history: Path | None = None) -> None:
        self._interactive = is_terminal(sys.stdin)
        self._history = history if self._interactive else None
        if self._history is not None:
            _read_history(self._history)

    def next(self) -> str:
        """The next turn. Raises EOFError at the end, InvalidText for bytes that are not UTF-8."""
        line = self._line("> ")
        if line.lstrip().startswith(BLOCK):
            return self._block(line.lstrip().removeprefix(BLOCK))
        parts = []
        while line.endswith("\\"):
            parts.append(line[:-1])
            line = self._line("… ")
        return "\n".join((*parts, line))

    def close(self) -> None:
        """Keep the history."""
        if self._history is not None:
            _write_history(self._history)

    def _block(self, line: str) -> str:
        parts = []
        while not line.rstrip().endswith(BLOCK):
            parts.append(line)
            line = self._line("… ")
        parts.append(line.rstrip().removesuffix(BLOCK))
        return "\n".join(parts).strip("\n")

    def _line(self, prompt: str) -> str:
        if self._interactive:
            try:
                line = input(prompt)
                line.encode("utf-8")  # a terminal in another encoding arrives as surrogates
            except UnicodeError:
                raise InvalidText("that line is not valid UTF-8", expected="text in UTF-8") from None
            return line
        content = sys.stdin.buffer.readline()
        if not content:
            raise EOFError
        try:
            return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidText("a line of the standard input is not valid UTF-8", expected="text in UTF-8") from None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return self.next()
        except EOFError:
            raise StopIteration from None


def _read_history(path: Path) -> None:
    try:
        import readline
    except ImportError:  # Windows: lines can be typed, only not recalled
        return
    readline.clear_history()
    readline.set_history_length(HISTORY_LINES)
    try:
        readline.read_history_file(path)
    except OSError:
        return


def _write_history(path: Path) -> None:
    try:
        import readline
    except ImportError:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # what one asks a model is private
        readline.write_history_file(path)
        path.chmod(0o600)
    except OSError:  # a full or read-only disk must not spoil the farewell
        return
