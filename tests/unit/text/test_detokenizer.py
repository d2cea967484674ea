"""Text as tokens come is the text of the whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpide.core.errors import InvalidParameter
from limpide.text import Detokenizer, Tokenizer

FIXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)


def streamed(tokenizer: Tokenizer, ids: list[int], **settings: Any) -> list[str]:
    detokenizer = Detokenizer(tokenizer, **settings)
    return [*(detokenizer.push(number) for number in ids), detokenizer.flush()]


@FIXED
@given(data=st.data())
def test_streaming_adds_up_to_the_whole(byte_level: Tokenizer, sentencepiece: Tokenizer, data: st.DataObject) -> None:
    tokenizer = data.draw(st.sampled_from([byte_level, sentencepiece]))
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=30))
    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


@FIXED
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_never_half_a_character(byte_level: Tokenizer, text: str) -> None:
    parts = streamed(byte_level, byte_level.encode(text))
    assert "".join(parts) == text
    assert "\ufffd" in text or not any("\ufffd" in part for part in parts)


def test_characters_come_when_they_are_whole(byte_level: Tokenizer) -> None:
    ids = byte_level.encode("🙂!")
    assert streamed(byte_level, ids) == ["", "", "", "🙂", "!", ""]


def test_invalid_bytes_are_replaced_as_python_does(byte_level: Tokenizer) -> None:
    ids = {byte_level.token_bytes(number): number for number in range(256)}
    data = b"a\xf0\x9f\x99b\xc3\xff\xe2\x82"
    streamed_text = "".join(streamed(byte_level, [ids[bytes((byte,))] for byte in data]))
    assert streamed_text == data.decode("utf-8", "replace")


def test_special_tokens_are_hidden_unless_kept(byte_level: Tokenizer) -> None:
    ids = byte_level.encode("h<|im_end|>e", special=True)
    assert streamed(byte_level, ids) == ["h", "", "e", ""]
    assert "".join(streamed(byte_level, ids, keep=["<|im_end|>", "unknown"])) == "h<|im_end|>e"


def test_a_hidden_token_inside_a_character(byte_level: Tokenizer) -> None:
    first, *rest = byte_level.encode("🙂")
    ids = [first, *byte_level.encode("<|im_end|>", special=True), *rest]
    assert "".join(streamed(byte_level, ids)) == "🙂" == byte_level.decode(ids)


def test_the_space_in_front(sentencepiece: Tokenizer) -> None:
    ids = sentencepiece.encode("hello wor")
    assert streamed(sentencepiece, ids) == ["hello", " wor", ""]
    assert streamed(sentencepiece, ids, continuation=True) == [" hello", " wor", ""]


def test_pending(byte_level: Tokenizer) -> None:
    detokenizer = Detokenizer(byte_level)
    first, *_ = byte_level.encode("🙂")
    detokenizer.push(first)
    assert detokenizer.pending
    assert detokenizer.flush() == "\ufffd"
    assert not detokenizer.pending
    assert detokenizer.flush() == ""


def test_unknown_ids_are_refused(byte_level: Tokenizer) -> None:
    with pytest.raises(InvalidParameter):
        Detokenizer(byte_level).push(byte_level.vocab_size)
