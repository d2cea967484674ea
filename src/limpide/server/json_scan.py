"""Look at JSON as it arrives, and refuse what would cost too much to parse."""

from __future__ import annotations

import re
from itertools import accumulate

from limpide.core.errors import BadRequest

MAX_DEPTH = 64
MAX_NUMBER = 64
"""Characters of a number. The longest that a double needs has 25."""

# A string, closed or up to the end of what is here; possessive, so that no input makes it go back and try again.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_NUMBER_END = re.compile(rb"[0-9.eE+-]*\Z")
_STEP = [0] * 256
_STEP[ord("[")] = _STEP[ord("{")] = 1
_STEP[ord("]")] = _STEP[ord("}")] = -1
_NO_BRACKETS = bytes(code for code in range(256) if not _STEP[code])


class JsonScan:
    """Bounds nesting and the length of numbers, in one pass at the speed of the `re` module.

    Up to the first byte that is no JSON, the depth is what a parser would reach. What comes after that byte can be
    taken for anything: no parser gets there. Knows UTF-8 alone (RFC 8259); the encodings that some parsers guess
    have NUL bytes, which JSON can't have.
    """

    def __init__(self, max_depth: int = MAX_DEPTH, max_number: int = MAX_NUMBER) -> None:
        self._max_depth = max_depth
        self._max_number = max_number
        self._too_long = re.compile(rb"[0-9.eE+-]{%d}" % (max_number + 1))
        self._depth = 0
        self._carried = b""
        """What has to be seen again with what comes next: an open quote and half an escape, or the end of a number."""

    @property
    def depth(self) -> int:
        """How many brackets are open."""
        return self._depth

    def feed(self, chunk: bytes) -> None:
        """Look at what comes next. Raises BadRequest."""
        if b"\0" in chunk:
            raise BadRequest("the body is not JSON: it has a NUL byte", expected="JSON in UTF-8")
        outside = _STRING.sub(rb'"\1', self._carried + chunk)
        if self._too_long.search(outside):
            raise BadRequest(
                f"the body has a number of more than {self._max_number} characters",
                expected="numbers that a double can hold",
            )
        self._nest(outside)
        self._carried = _open_string(outside) or _unfinished_number(outside)

    def _nest(self, outside: bytes) -> None:
        steps = map(_STEP.__getitem__, outside.translate(None, _NO_BRACKETS))
        depths = list(accumulate(steps, initial=self._depth))
        if max(depths) > self._max_depth:
            raise BadRequest(
                "the body's lists and objects are nested too deeply", expected=f"at most {self._max_depth} levels"
            )
        self._depth = depths[-1]


def check_json(text: bytes) -> None:
    """Refuse JSON that would cost too much to parse, as a line of a batch. Raises BadRequest."""
    JsonScan().feed(text)


def _open_string(outside: bytes) -> bytes:
    """The quote of a string whose end has not come, with the backslash of an escape that is cut in two."""
    if outside.count(b'"') % 2 == 0:
        return b""
    return b'"\\' if outside.endswith(b'"\\') else b'"'


def _unfinished_number(outside: bytes) -> bytes:
    match = _NUMBER_END.search(outside)
    return match[0] if match else b""
