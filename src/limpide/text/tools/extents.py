"""Where a call ends, found while its text is still coming."""

from __future__ import annotations

import json
import re
from typing import Protocol

_JSON_TOKEN = re.compile(r'["\\{}\[\]]|[\x00-\x1f]+|[^"\\{}\[\]\x00-\x1f]+')
"""Structure, control characters, and runs of all else."""


class Extent(Protocol):
    """Follows one call's text. Each character is looked at once, however the text is cut."""

    ends: tuple[str, ...]
    """The markers that end it, if there are any."""

    def push(self, text: str) -> int | None:
        """More text. Where the call has ended: the characters of it in this piece, its end marker included."""


class JsonExtent:
    """To the end of the first JSON object or list."""

    ends: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def push(self, text: str) -> int | None:
        """See Extent."""
        return self.follow(text)[1]

    def follow(self, text: str) -> tuple[str, int | None]:
        """As `push`, and the text up to there, with the control characters escaped that JSON takes in no string.

        Models write line breaks inside strings as they are; what is meant is clear.
        """
        parts: list[str] = []
        for found in _JSON_TOKEN.finditer(text):
            token = found[0]
            if self._escaped:
                self._escaped = False
            elif self._quoted and token[0] < " ":
                token = json.dumps(token)[1:-1]
            elif self._step(token):
                return "".join((*parts, token)), found.end()
            parts.append(token)
        return "".join(parts), None

    def _step(self, written: str) -> bool:
        """Take what may be structure. Whether the value is complete with it."""
        if written == '"':
            self._quoted = not self._quoted and self._depth > 0
        elif self._quoted:
            self._escaped = written == "\\"
        elif written in ("{", "["):
            self._depth += 1
        elif written in ("}", "]") and self._depth:
            self._depth -= 1
            return self._depth == 0
        return False


class MarkerExtent:
    """To the first of some markers that does not stand inside a string.

    quote: what begins and ends a string; escapes: whether a backslash inside one makes the next character literal.
    """

    def __init__(self, *ends: str, quote: str | None = '"', escapes: bool = True) -> None:
        self.ends = ends
        self._quote = quote
        self._escapes = escapes
        tokens = [*ends, *([quote] if quote else [])]
        self._outside = re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))))
        inside = [re.escape(quote), *([r"\\."] if escapes else [])] if quote else []
        self._inside = re.compile("|".join(inside) or r"(?!)", re.DOTALL)
        self._longest = max(map(len, tokens))
        self._quoted = False
        self._held = ""

    def push(self, text: str) -> int | None:
        """See Extent."""
        before = len(self._held)
        text, position = self._held + text, 0
        while found := (self._inside if self._quoted else self._outside).search(text, position):
            if found[0] in self.ends and not self._quoted:
                return found.end() - before
            if found[0] == self._quote:
                self._quoted = not self._quoted
            position = found.end()
        self._held = text[max(position, len(text) - self._keep(text, position)) :]
        return None

    def _keep(self, text: str, position: int) -> int:
        """Characters at the end that the next piece may complete to a marker, a quote or an escape."""
        if not self._quoted:
            return self._longest - 1
        escape = 1 if self._escapes and text.endswith("\\", position) else 0
        return max(escape, len(self._quote or "") - 1)
