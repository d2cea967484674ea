"""Server-sent events, however they are cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from limpide.backends.remote.sse import data_of

STREAM = (
    '\ufeff: a comment\r\ndata: {"a": "é"}\r\n\r\nevent: x\nid: 1\ndata:first\ndata: second\n\n'
    "\rdata\r\rdata:  two spaces\n\nother\n\ndata: [DONE]\n\ndata: without an end\n"
).encode()
DATA = ['{"a": "é"}', "first\nsecond", "", " two spaces", "[DONE]"]


@given(st.lists(st.integers(0, len(STREAM))))
def test_any_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert list(data_of(pieces)) == DATA


def test_byte_by_byte() -> None:
    assert list(data_of(STREAM[at : at + 1] for at in range(len(STREAM)))) == DATA


def test_half_a_character_is_replaced() -> None:
    assert list(data_of([b"data: \xc3\n\n"])) == ["\ufffd"]
