"""Server-sent events, read as they arrive (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator


def data_of(pieces: Iterable[bytes]) -> Iterator[str]:
    """The data of each event. Comments and other fields are passed over; an event without its end is dropped.

    Lines end with CR LF, LF or CR, wherever the pieces are cut.
    """
    data: list[str] = []
    for line in _lines(pieces):
        if not line:
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line == "data":
            data.append("")


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    kept: list[str] = []  # of a line without its end, joined once: a line may come in very many pieces
    after_return = False
    for piece in pieces:
        text = decoder.decode(piece)
        if after_return and text:
            text = text.removeprefix("\n")
            after_return = False
        if text.endswith("\r"):
            after_return = True
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        first, *others = text.split("\n")
        kept.append(first)
        for line in others:
            yield "".join(kept)
            kept = [line]
