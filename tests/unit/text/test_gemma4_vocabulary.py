"""Gemma 4's kind of GGUF vocabulary: SentencePiece's pieces, joined in the order of a list of merges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.core.errors import CorruptModelFile
from limpide.text import Tokenizer

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
MERGES = ["a b", "▁ ab", "b c", "\n \n", "\n\n \n"]


def metadata() -> dict[str, Any]:
    pieces = [("<pad>", CONTROL), ("<eos>", CONTROL), ("<bos>", CONTROL), ("<unk>", UNKNOWN), ("<turn|>", CONTROL)]
    pieces += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    pieces += [(text, NORMAL) for text in ("a", "b", "c", "▁", "\n", "é")]
    pieces += [(merge.replace(" ", ""), NORMAL) for merge in MERGES]
    return {
        "tokenizer.ggml.model": "gemma4",
        "tokenizer.ggml.tokens": [text for text, _ in pieces],
        "tokenizer.ggml.token_type": np.array([kind for _, kind in pieces], np.int32),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_space_prefix": False,
    }


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_gguf(metadata())


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("abc", ["ab", "c"]),  # the first merge of the list comes first, not the first place in the text
        (" ab ab", ["▁ab", "▁ab"]),
        ("\n\n\na", ["\n\n\n", "a"]),
        ("é漢", ["é", "<0xE6>", "<0xBC>", "<0xA2>"]),
        ("<0x41>", [f"<0x{byte:02X}>" for byte in b"<0x41>"]),  # what looks like a byte's piece is text
    ],
)
def test_merges_in_their_order(tokenizer: Tokenizer, text: str, pieces: list[str]) -> None:
    texts = metadata()["tokenizer.ggml.tokens"]
    assert [texts[token] for token in tokenizer.encode(text)] == pieces
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_structure_is_not_made_of_text(tokenizer: Tokenizer) -> None:
    assert not set(tokenizer.encode("<turn|><bos>")) & {0, 1, 2, 3, 4}
    assert tokenizer.encode("a", bos=True)[0] == 2


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    tokenizer = Tokenizer.from_gguf(metadata())
    sound = text.encode("utf-8", "replace").decode().replace("▁", " ")
    assert tokenizer.decode(tokenizer.encode(sound)) == sound


def test_merges_are_needed_and_have_to_fit() -> None:
    without = {name: value for name, value in metadata().items() if not name.endswith("merges")}
    with pytest.raises(CorruptModelFile, match="merges is missing"):
        Tokenizer.from_gguf(without)
    with pytest.raises(CorruptModelFile, match="don't fit"):
        Tokenizer.from_gguf(metadata() | {"tokenizer.ggml.merges": ["a z"]})
