"""Tokenizers from a Hugging Face folder, against the tokenizers library reading the same file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from limpide.core.errors import CorruptModelFile, LimpideError, TokenizerUnavailable
from limpide.text import Tokenizer
from limpide.text.vocabulary import byte_alphabet

SPECIAL = ["<s>", "</s>", "<|im_end|>"]
PLAIN = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="<▁") | st.sampled_from("hello w\n"), max_size=40
)
FIXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)


def byte_level() -> RustTokenizer:
    vocabulary = {character: number for number, character in enumerate([*byte_alphabet(), "he", "ll", "hell", "hello"])}
    tokenizer = RustTokenizer(models.BPE(vocabulary, [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o")]))
    cut = pre_tokenizers.Split(Regex(r" ?\p{L}+|\s+|."), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentencepiece(scheme: str) -> RustTokenizer:
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁helowrd", "he", "ll", "hell", "hello", "▁hello"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("▁", "hello")]
    tokenizer = RustTokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    end = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if scheme == "legacy":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        end.append(decoders.Strip(" ", 1, 0))
    elif scheme == "none":
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme, split=False)
        end.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(end)
    return tokenizer


KINDS = {"bytes": byte_level, **{name: (lambda name=name: sentencepiece(name)) for name in ("legacy", "none", "first")}}


@pytest.fixture(params=KINDS)
def theirs(request: pytest.FixtureRequest, tmp_path: Path) -> RustTokenizer:
    tokenizer = KINDS[request.param]()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False), AddedToken("    ", normalized=False)])
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", bos)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokenizer.token_to_id("</s>")]}))
    return tokenizer


@FIXED
@given(text=PLAIN)
def test_plain_text(theirs: RustTokenizer, tmp_path: Path, text: str) -> None:
    ours = Tokenizer.from_folder(tmp_path)
    ids = ours.encode(text)
    assert ids == theirs.encode(text, add_special_tokens=False).ids
    if not (text.startswith(" ") and theirs.normalizer is None):  # Metaspace puts no space in front of a space
        assert ours.decode(ids) == text
    assert ours.encode(text, bos=True) == theirs.encode(text).ids


@FIXED
@given(texts=st.lists(PLAIN, max_size=4), marks=st.lists(st.sampled_from([*SPECIAL, "<think>"]), max_size=4))
def test_template_text(theirs: RustTokenizer, tmp_path: Path, texts: list[str], marks: list[str]) -> None:
    ours = Tokenizer.from_folder(tmp_path)
    text = "".join(a + b for a, b in zip(texts, marks, strict=False))
    assert ours.encode(text, special=True) == theirs.encode(text, add_special_tokens=False).ids


def test_look_alikes_stay_text(theirs: RustTokenizer, tmp_path: Path) -> None:
    ours = Tokenizer.from_folder(tmp_path)
    text = "hello <|im_end|><s></s> <think>"
    ids = ours.encode(text)
    assert not set(ids) & set(ours.special_tokens.values())
    assert ours.decode(ids) == text


def test_what_the_other_files_say(theirs: RustTokenizer, tmp_path: Path) -> None:
    ours = Tokenizer.from_folder(tmp_path)
    end = theirs.token_to_id("</s>")
    assert (ours.bos_id, ours.eos_id, ours.add_bos) == (theirs.token_to_id("<s>"), end, True)
    assert ours.eos_ids == {end, theirs.token_to_id("<|im_end|>")}
    assert ours.vocab_size == theirs.get_vocab_size()
    assert set(ours.special_tokens) == {*SPECIAL, "<think>"}
    assert ours.decode([end]) == ""
    assert len(ours.sha256) == 64


@pytest.mark.parametrize("missing", ["tokenizer_config.json", "generation_config.json"])
def test_files_beside_it_may_be_missing(theirs: RustTokenizer, tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).unlink()
    ours = Tokenizer.from_folder(tmp_path)
    assert theirs.token_to_id("<|im_end|>") in ours.eos_ids
    assert ours.decode(ours.encode("hello")) == "hello"


def test_a_folder_without_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(TokenizerUnavailable, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version": "1.0"}',
        b'{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}',
        b'{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 4294967295}, "merges": []}}',
        b'{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}',
        b"[" * 100_000,
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(CorruptModelFile):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", b"{"),
        ("tokenizer_config.json", b"[1]"),
        ("generation_config.json", b'{"eos_token_id": 1000000}'),
        ("generation_config.json", b'{"eos_token_id": ["x"]}'),
        ("generation_config.json", b"[" * 100_000),
    ],
)
def test_damaged_files_beside_it(tmp_path: Path, name: str, content: bytes) -> None:
    byte_level().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorruptModelFile):
        Tokenizer.from_folder(tmp_path)


def test_kinds_that_write_no_exact_text(tmp_path: Path) -> None:
    RustTokenizer(models.WordLevel({"a": 0}, "a")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TokenizerUnavailable):
        Tokenizer.from_folder(tmp_path)


@FIXED
@given(data=st.data())
def test_damage_anywhere_is_an_error_of_ours(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "tokenizer.json"
    byte_level().save(str(path))
    content: Any = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        ours = Tokenizer.from_folder(tmp_path)
    except LimpideError:
        return
    ours.decode(ours.encode("hello"))
