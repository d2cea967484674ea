"""Addresses."""

from __future__ import annotations

import pytest

from limpide.backends.remote.endpoint import Endpoint
from limpide.core.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (" https://api.example.com/v1/ ", "https://api.example.com/v1"),
        ("https://example.com/openai/v2", "https://example.com/openai/v2"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert Endpoint.parse(text).url == url


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:8000", "ftp://a/v1", "http://", "http://a:0", "http://a:99999", "http://a/v1?key=1", "http://[::1"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidParameter):
        Endpoint.parse(text)


def test_keys_are_not_shown() -> None:
    with pytest.raises(InvalidParameter) as refused:
        Endpoint.parse("http://user:secret@example.com")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(Endpoint.parse("http://a", "secret"))


@pytest.mark.parametrize("key", ["", " a", "a\nb", "é"])
def test_keys_that_no_header_holds(key: str) -> None:
    with pytest.raises(InvalidParameter):
        Endpoint.parse("http://a", key)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [("http://127.0.0.1:1", True), ("http://[::1]:1", True), ("http://localhost", True), ("http://a", False)],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert Endpoint.parse(url).loopback is loopback
