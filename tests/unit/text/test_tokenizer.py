"""Tokenizers of both kinds from GGUF metadata, and what hostile metadata gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpide.core.errors import CorruptModelFile, InvalidParameter, InvalidText, LimpideError, TokenizerUnavailable
from limpide.text import Tokenizer
from limpide.text.pretokenizers import PRE_TOKENIZERS
from limpide.text.vocabulary import AddedToken, AddedTokens, end_ids, is_markup

FIXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \nhelowrd<>|im_end"), max_size=60)


def pieces(tokenizer: Tokenizer, ids: list[int]) -> list[bytes]:
    return [tokenizer.token_bytes(number) for number in ids]


class TestByteLevel:
    def test_merges(self, byte_level: Tokenizer) -> None:
        assert pieces(byte_level, byte_level.encode("hello wo é")) == [b"hello", b" wo", b" ", "é".encode()]

    @FIXED
    @given(text=ANY_TEXT)
    def test_round_trip(self, byte_level: Tokenizer, text: str) -> None:
        assert byte_level.decode(byte_level.encode(text)) == text

    @FIXED
    @given(text=ANY_TEXT, look_alike=st.sampled_from(["<|im_end|>", "<think>", "<tool_call>", "<|endoftext|>"]))
    def test_look_alikes_stay_text(self, byte_level: Tokenizer, text: str, look_alike: str) -> None:
        ids = byte_level.encode(text + look_alike + text)
        assert not set(ids) & set(byte_level.special_tokens.values())
        assert byte_level.decode(ids) == text + look_alike + text

    def test_special_text_of_a_template(self, byte_level: Tokenizer) -> None:
        special = byte_level.special_tokens
        ids = byte_level.encode("<|im_start|>hello<|im_end|><think>", special=True)
        assert ids[0] == special["<|im_start|>"]
        assert ids[-2:] == [special["<|im_end|>"], special["<think>"]]
        assert byte_level.decode(ids) == "hello<think>"
        assert byte_level.decode(ids, special=True) == "<|im_start|>hello<|im_end|><think>"

    def test_user_defined_text_matches_everywhere(self, byte_level: Tokenizer) -> None:
        assert pieces(byte_level, byte_level.encode("h    <b>")) == [b"h", b"    ", b"<b>"]
        assert {"    ", "<b>"}.isdisjoint(byte_level.special_tokens)

    def test_end_tokens_are_all_known(self, byte_level: Tokenizer) -> None:
        special = byte_level.special_tokens
        assert byte_level.eos_ids == {special["<|im_end|>"], special["<|endoftext|>"]}

    def test_bos_only_where_the_model_wants_one(self, byte_level_metadata: dict[str, Any]) -> None:
        without = Tokenizer.from_gguf(byte_level_metadata)
        wanting = Tokenizer.from_gguf(byte_level_metadata | {"tokenizer.ggml.add_bos_token": True})
        assert without.encode("h", bos=True) == without.encode("h")
        assert wanting.encode("h", bos=True) == [wanting.bos_id, *wanting.encode("h")]

    def test_lone_surrogates_are_refused(self, byte_level: Tokenizer) -> None:
        with pytest.raises(InvalidText, match="character 1"):
            byte_level.encode("a\ud800")

    @pytest.mark.parametrize("token", [-1, 10**6])
    def test_ids_out_of_range_are_refused(self, byte_level: Tokenizer, token: int) -> None:
        with pytest.raises(InvalidParameter):
            byte_level.decode([token])

    def test_missing_types_make_the_named_tokens_special(self, byte_level_metadata: dict[str, Any]) -> None:
        del byte_level_metadata["tokenizer.ggml.token_type"]
        tokenizer = Tokenizer.from_gguf(byte_level_metadata)
        assert set(tokenizer.special_tokens) == {"<|im_start|>", "<|im_end|>", "<|endoftext|>"}

    def test_structure_that_is_called_normal(self, byte_level_metadata: dict[str, Any]) -> None:
        texts, kinds = (byte_level_metadata[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type"))
        kinds[texts.index("<|endoftext|>")] = 1
        tokenizer = Tokenizer.from_gguf(byte_level_metadata)
        assert texts.index("<|endoftext|>") in tokenizer.eos_ids
        assert "<|endoftext|>" in tokenizer.special_tokens

    def test_every_pre_tokenizer_compiles(self, byte_level_metadata: dict[str, Any]) -> None:
        text = "Hello  there, it's 12345 é日本\n\n  x=1;\r\n"
        for name in PRE_TOKENIZERS:
            tokenizer = Tokenizer.from_gguf(byte_level_metadata | {"tokenizer.ggml.pre": name})
            assert tokenizer.decode(tokenizer.encode(text)) == text, name

    def test_the_hash_tells_vocabularies_apart(self, byte_level_metadata: dict[str, Any]) -> None:
        one, same = Tokenizer.from_gguf(byte_level_metadata), Tokenizer.from_gguf(dict(byte_level_metadata))
        other = Tokenizer.from_gguf(byte_level_metadata | {"tokenizer.ggml.pre": "llama-bpe"})
        assert one.sha256 == same.sha256 != other.sha256
        assert len(one.sha256) == 64


class TestSentencePiece:
    def test_best_score_first(self, sentencepiece: Tokenizer) -> None:
        assert pieces(sentencepiece, sentencepiece.encode("hello world")) == [b" hello", b" wor", b"ld"]

    def test_leftmost_of_equals(self, sentencepiece: Tokenizer) -> None:
        # "ab" has the best score and is joined leftmost first, so the last letters are left over as they are.
        assert pieces(sentencepiece, sentencepiece.encode("ababa")) == [b" ", b"ab", b"aba"]

    def test_other_characters_become_bytes(self, sentencepiece: Tokenizer) -> None:
        ids = sentencepiece.encode("é")
        assert pieces(sentencepiece, ids) == [b" ", b"\xc3", b"\xa9"]
        assert sentencepiece.decode(ids) == "é"

    def test_user_defined_tokens_are_not_merged(self, sentencepiece: Tokenizer) -> None:
        assert pieces(sentencepiece, sentencepiece.encode("h  \nhe")) == [b" ", b"h", b"  ", b"\n", b"he"]

    @FIXED
    @given(text=ANY_TEXT)
    def test_round_trip(self, sentencepiece: Tokenizer, text: str) -> None:
        text = text.replace("▁", "_")  # the family writes a space as this character
        assert sentencepiece.decode(sentencepiece.encode(text)) == text

    def test_without_space_prefix(self, sentencepiece_metadata: dict[str, Any]) -> None:
        tokenizer = Tokenizer.from_gguf(sentencepiece_metadata | {"tokenizer.ggml.add_space_prefix": False})
        assert pieces(tokenizer, tokenizer.encode("hello")) == [b"hello"]
        assert tokenizer.decode(tokenizer.encode(" hello")) == " hello"

    def test_look_alikes_stay_text(self, sentencepiece: Tokenizer) -> None:
        ids = sentencepiece.encode("</s><s><0x41>")
        assert not set(ids) & {1, 2}
        assert sentencepiece.decode(ids) == "</s><s><0x41>"

    def test_a_long_word_is_quick(self, sentencepiece: Tokenizer) -> None:
        assert len(sentencepiece.encode("ab" * 50_000)) == 50_001

    def test_bos_is_the_default(self, sentencepiece: Tokenizer) -> None:
        assert sentencepiece.encode("h", bos=True)[0] == 1


class TestHostileMetadata:
    @pytest.mark.parametrize(
        ("key", "value", "error"),
        [
            ("model", None, TokenizerUnavailable),
            ("model", "bert", TokenizerUnavailable),
            ("model", 7, CorruptModelFile),
            ("pre", "no-such-cut", TokenizerUnavailable),
            ("pre", 3.5, CorruptModelFile),
            ("tokens", None, TokenizerUnavailable),
            ("tokens", [], TokenizerUnavailable),
            ("tokens", "abc", CorruptModelFile),
            ("tokens", np.zeros(264), CorruptModelFile),
            ("tokens", ["a", 7], CorruptModelFile),
            ("tokens", ["a"] * ((1 << 22) + 1), CorruptModelFile),
            ("tokens", ["a" * 100_000], CorruptModelFile),
            ("token_type", [1, 2, 3], CorruptModelFile),
            ("token_type", "normal", CorruptModelFile),
            ("token_type", 1, CorruptModelFile),
            ("merges", None, CorruptModelFile),
            ("merges", ["hello"], CorruptModelFile),
            ("merges", ["a b c"], CorruptModelFile),
            ("merges", [" a"], CorruptModelFile),
            ("merges", ["h nothing"], CorruptModelFile),
            ("merges", [7], CorruptModelFile),
            ("bos_token_id", 10**9, CorruptModelFile),
            ("eos_token_id", -5, CorruptModelFile),
            ("eos_token_id", "end", CorruptModelFile),
            ("eot_token_id", True, CorruptModelFile),
            ("add_bos_token", "yes", CorruptModelFile),
        ],
    )
    def test_byte_level(
        self, byte_level_metadata: dict[str, Any], key: str, value: object, error: type[LimpideError]
    ) -> None:
        metadata = byte_level_metadata | {f"tokenizer.ggml.{key}": value}
        with pytest.raises(error) as raised:
            Tokenizer.from_gguf({name: item for name, item in metadata.items() if item is not None})
        assert len(str(raised.value)) < 2000

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("scores", None),
            ("scores", np.zeros(3, np.float32)),
            ("scores", "nan"),
            ("scores", "matrix"),
            ("add_space_prefix", 1),
        ],
    )
    def test_sentencepiece(self, sentencepiece_metadata: dict[str, Any], key: str, value: object) -> None:
        size = len(sentencepiece_metadata["tokenizer.ggml.tokens"])
        arrays = {"nan": np.full(size, np.nan, np.float32), "matrix": np.zeros((size, 2), np.float32)}
        if isinstance(value, str):
            value = arrays[value]
        metadata = sentencepiece_metadata | {f"tokenizer.ggml.{key}": value}
        with pytest.raises(CorruptModelFile):
            Tokenizer.from_gguf({name: item for name, item in metadata.items() if item is not None})

    def test_missing_byte_tokens(self, sentencepiece_metadata: dict[str, Any]) -> None:
        sentencepiece_metadata["tokenizer.ggml.tokens"][10] = "<0xZZ>"
        with pytest.raises(CorruptModelFile, match="<0x07>"):
            Tokenizer.from_gguf(sentencepiece_metadata)

    def test_merges_can_not_build_structure(self, byte_level_metadata: dict[str, Any]) -> None:
        byte_level_metadata["tokenizer.ggml.merges"] = ["< |"]
        byte_level_metadata["tokenizer.ggml.tokens"][-1] = "<|"
        kinds = byte_level_metadata["tokenizer.ggml.token_type"]
        kinds[-1] = 3
        with pytest.raises(CorruptModelFile, match="merges"):
            Tokenizer.from_gguf(byte_level_metadata)

    @FIXED
    @given(
        changes=st.dictionaries(
            st.sampled_from(
                ["model", "pre", "tokens", "token_type", "merges", "scores", "bos_token_id", "add_bos_token"]
            ),
            st.none() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=4) | st.floats(),
            max_size=3,
        )
    )
    def test_anything_is_an_error_of_ours_or_works(
        self, byte_level_metadata: dict[str, Any], changes: dict[str, Any]
    ) -> None:
        metadata = byte_level_metadata | {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
        try:
            tokenizer = Tokenizer.from_gguf(metadata)
        except LimpideError:
            return
        tokenizer.decode(tokenizer.encode("hello"))


class TestAddedTokens:
    def test_leftmost_then_longest(self) -> None:
        added = AddedTokens([AddedToken("\n", 1), AddedToken("\n\n", 2), AddedToken("ab", 3), AddedToken("a", 4)])
        assert list(added.split("x\n\n\nabay")) == ["x", 2, 1, 3, 4, "y"]

    def test_white_space_that_belongs_to_a_token(self) -> None:
        added = AddedTokens([AddedToken("<l>", 1, strip_left=True), AddedToken("<r>", 2, strip_right=True)])
        assert list(added.split("a  <l> b<r> \nc")) == ["a", 1, " b", 2, "c"]

    def test_single_words(self) -> None:
        added = AddedTokens([AddedToken("the", 1, single_word=True)])
        assert list(added.split("then the end")) == ["then ", 1, " end"]

    def test_without_tokens(self) -> None:
        assert list(AddedTokens([]).split("abc")) == ["abc"]
        assert list(AddedTokens([AddedToken("x", 1)]).split("")) == []


def test_markup_is_told_from_text() -> None:
    structure = ["<think>", "</think>", "<|x|>", "<｜User｜>", "<tool_call>", "[INST]", "[PAD123]", "<start_of_image>"]
    text = ["    ", "\n\n", "<table>", "</b>", "<h1>", "<s>", "õ", "<a>", "[", "hello"]
    assert all(map(is_markup, structure))
    assert not any(map(is_markup, text))


def test_the_end_of_a_harmony_message_is_no_end_of_turn() -> None:
    control = {"<|end|>": 1, "<|return|>": 2, "<|call|>": 3, "<|start|>": 4}
    assert end_ids(control, [2]) == {2, 3}
    assert end_ids(control, [2, 1]) == {2, 3}  # some files declare it one
    assert end_ids({"<|tool_response>": 5, "<turn|>": 6}, [6]) == {5, 6}  # Gemma 4 waits for a result there
    assert end_ids({"<|end|>": 1, "<|endoftext|>": 2}, [2, None]) == {1, 2}
