"""The scan agrees with a parser on depth, however the bytes are cut, and refuses before a parser would suffer."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.core.errors import BadRequest
from limpide.server.json_scan import MAX_DEPTH, MAX_NUMBER, JsonScan, check_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('"\\[]{}é1e')
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\[{ab'), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def accepts(chunks: list[bytes], max_depth: int) -> bool:
    scan = JsonScan(max_depth=max_depth)
    try:
        for chunk in chunks:
            scan.feed(chunk)
    except BadRequest:
        return False
    assert scan.depth == 0, "all that opened has closed"
    return True


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


@given(VALUES, st.booleans(), st.lists(st.integers(0, 10_000), max_size=12))
def test_depth_is_the_parsers(value: Any, plain: bool, places: list[int]) -> None:
    text = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    depth = depth_of(value)
    chunks = cut(text, places)
    assert accepts(chunks, max_depth=depth)
    if depth:
        assert not accepts(chunks, max_depth=depth - 1)


@given(VALUES)
def test_any_value_byte_by_byte(value: Any) -> None:
    text = json.dumps(value).encode()
    assert accepts([bytes([code]) for code in text], max_depth=depth_of(value))


@given(st.binary(), st.lists(st.integers(0, 10_000), max_size=8))
def test_no_cut_changes_the_verdict(text: bytes, places: list[int]) -> None:
    def verdict(chunks: list[bytes]) -> tuple[bool, int]:
        scan = JsonScan(max_depth=3, max_number=5)
        try:
            for chunk in chunks:
                scan.feed(chunk)
        except BadRequest:
            return False, 0
        return True, scan.depth

    assert verdict([text]) == verdict(cut(text, places))


@given(st.text('{}[]"\\1,:', max_size=40))
def test_what_a_parser_takes_is_never_deeper_than_we_saw(text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        return
    assert accepts([text.encode()], max_depth=depth_of(value))


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b'["' + b"[" * 9 + b'",' + b"[" * 100_000])
def test_depth_is_bounded(deep: bytes) -> None:
    with pytest.raises(BadRequest, match=f"{MAX_DEPTH} levels"):
        check_json(deep)


def test_brackets_in_strings_are_text() -> None:
    check_json(json.dumps(["[" * 1000, '"' * 99 + "{" * 1000]).encode())


@pytest.mark.parametrize("number", ["9" * (MAX_NUMBER + 1), "-0." + "1" * MAX_NUMBER, "1e" + "0" * MAX_NUMBER])
def test_long_numbers(number: str) -> None:
    for chunks in ([number.encode()], [bytes([code]) for code in number.encode()]):
        with pytest.raises(BadRequest, match="number"):
            accepts(chunks, 1) or check_json(b"".join(chunks))
    check_json(number[:MAX_NUMBER].encode())
    check_json(json.dumps(number).encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_that_a_parser_would_guess(encoding: str) -> None:
    """Some of their bytes look like quotes, behind which brackets would hide."""
    text = ('["∀",' + "[" * 1000).encode(encoding)
    with pytest.raises(BadRequest, match="NUL"):
        check_json(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", [b"[],", b'"",', b'\\"', b'"\\', b"\\", b'"\\"\\', b"9,", b"1e1 ", b"{}"])
def test_nothing_takes_more_than_linear_time(unit: bytes) -> None:
    """4 MiB in chunks as they come from a socket; quadratic work on any of these would take minutes."""
    text = unit * (2**22 // len(unit))
    scan = JsonScan()
    for start in range(0, len(text), 65536):
        scan.feed(text[start : start + 65536])
    JsonScan().feed(text)
