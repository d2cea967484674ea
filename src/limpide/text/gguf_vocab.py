"""Vocabularies from GGUF metadata (`tokenizer.ggml.*`), every field checked before it is used."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

from limpide.core.errors import CorruptModelFile, TokenizerUnavailable
from limpide.text.gguf_fields import FOLDER_HINT, GGUFFields
from limpide.text.pretokenizers import DIGITS, PreTokenizer, pre_tokenizer_for
from limpide.text.sentencepiece_bpe import SPACE, SentencePieceBPE
from limpide.text.vocabulary import (
    AddedToken,
    AddedTokens,
    Vocabulary,
    byte_level_bytes,
    end_ids,
    is_markup,
)

if TYPE_CHECKING:
    import tokenizers

MAX_TOKENS = 1 << 22
MAX_PIECE = 1 << 16
_PIPED = re.compile(r"<[|｜].+[|｜]>")


class Kind(IntEnum):
    """Values of `tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class _Pieces:
    """The parts that every kind of GGUF vocabulary has."""

    def __init__(self, metadata: GGUFFields) -> None:
        texts = metadata.strings("tokens", MAX_TOKENS)
        if not texts:
            raise TokenizerUnavailable("the file holds no list of tokens", hint=FOLDER_HINT)
        self.texts = texts
        self.size = len(texts)
        if max(map(len, texts)) > MAX_PIECE:
            raise metadata.wrong("tokens", "longer than any real token", f"tokens of at most {MAX_PIECE} characters")
        kinds = metadata.numbers("token_type", self.size)
        self.kinds = [int(kind) for kind in kinds] if kinds else [int(Kind.NORMAL)] * self.size
        self.bos_id = metadata.token("bos", self.size)
        self.unknown_id = metadata.token("unknown", self.size)
        declared = [metadata.token(name, self.size) for name in ("eos", "eot", "eom")]
        for number in (self.bos_id, *declared):
            # Old files have no types, and some call their end of turn user-defined: both are structure.
            if number is not None and self.kinds[number] in (Kind.NORMAL, Kind.USER_DEFINED):
                self.kinds[number] = Kind.CONTROL
        normal = int(Kind.NORMAL)
        for number, text in enumerate(texts):
            # Some converters call these normal; no text of people gave rise to such a piece.
            if text.startswith(("<|", "<｜")) and _PIPED.fullmatch(text) and self.kinds[number] == normal:
                self.kinds[number] = int(Kind.CONTROL)
        others = [i for i, kind in enumerate(self.kinds) if kind != normal]
        self.control = {texts[i]: i for i in others if self.kinds[i] == Kind.CONTROL}
        self.unknown = {texts[i]: i for i in others if self.kinds[i] == Kind.UNKNOWN}
        self.user_defined = {texts[i]: i for i in others if self.kinds[i] == Kind.USER_DEFINED}
        self.byte = {texts[i]: i for i in others if self.kinds[i] == Kind.BYTE}
        self.eos_id = declared[0]
        self.eos_ids = end_ids(self.control, declared)

    def special(self) -> AddedTokens:
        markup = {text: number for text, number in self.user_defined.items() if is_markup(text)}
        return AddedTokens(AddedToken(text, number) for text, number in (self.control | markup).items())

    def plain_user_defined(self) -> dict[str, int]:
        return {text: number for text, number in self.user_defined.items() if not is_markup(text)}

    def hidden(self) -> frozenset[int]:
        return frozenset((*self.control.values(), *self.unknown.values()))


def read_gguf_vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    """Vocabulary of a GGUF file.

    Raises TokenizerUnavailable for a kind that we can't read, CorruptModelFile for fields that contradict one another.
    """
    fields = GGUFFields(metadata)
    model = fields.text("model")
    if model is None:
        raise TokenizerUnavailable("the file holds no tokenizer", hint=FOLDER_HINT)
    if model == "gpt2":
        return _byte_level(fields)
    if model == "llama":
        return _sentencepiece(fields)
    if model == "gemma4":
        return _merged_sentencepiece(fields)
    raise TokenizerUnavailable(
        f"the tokenizer is of kind {model!r}",
        expected="gpt2 (byte-level BPE), llama (SentencePiece-style BPE) or gemma4 (the same with a list of merges)",
        hint=FOLDER_HINT,
    )


def _byte_level(fields: GGUFFields) -> Vocabulary:
    pieces = _Pieces(fields)
    lines = fields.strings("merges", 4 * MAX_TOKENS)
    if lines is None:
        raise CorruptModelFile("tokenizer.ggml.merges is missing", expected="the merges of a byte-level BPE")
    pre = pre_tokenizer_for(fields.text("pre") or "default")
    plain = pieces.plain_user_defined()
    engine = byte_level_engine(_mergeable(pieces), _merges(fields, lines), pre)
    always = AddedTokens(AddedToken(text, number) for text, number in plain.items())
    add_bos = fields.flag("add_bos_token")
    texts, kinds = pieces.texts, pieces.kinds

    def encode(text: str, first: bool) -> list[int]:
        ids: list[int] = []
        for part in always.split(text):
            if isinstance(part, int):
                ids.append(part)
            else:
                ids.extend(engine.encode(part, add_special_tokens=False).ids)
        return ids

    def token_bytes(token: int) -> bytes:
        if kinds[token] in (Kind.CONTROL, Kind.UNKNOWN, Kind.USER_DEFINED):
            return texts[token].encode("utf-8", "replace")
        return byte_level_bytes(texts[token])

    return Vocabulary(
        size=pieces.size,
        encode_plain=encode,
        token_bytes=token_bytes,
        special=pieces.special(),
        hidden=pieces.hidden(),
        bos_id=pieces.bos_id,
        eos_id=pieces.eos_id,
        eos_ids=pieces.eos_ids,
        add_bos=pre.add_bos if add_bos is None else add_bos,
        space_prefix=False,
        hashed=lambda: _hash(["gpt2", repr(pre)], texts, lines, map(str, kinds)),
    )


def _mergeable(pieces: _Pieces) -> dict[str, int]:
    """What merges may build: everything but structure, so that no text can turn into structure."""
    special = pieces.special().ids
    skipped = {*special.values(), *pieces.unknown.values()}
    vocabulary = {text: number for number, text in enumerate(pieces.texts)}
    for number in skipped:
        vocabulary.pop(pieces.texts[number], None)
    vocabulary.pop("", None)
    return vocabulary


def _merges(fields: GGUFFields, lines: Sequence[str]) -> list[tuple[str, str]]:
    merges = [tuple(line.split(" ")) for line in lines]
    if merges and (set(map(len, merges)) != {2} or not all(map(all, merges))):
        wrong = next(line for line, merge in zip(lines, merges, strict=True) if len(merge) != 2 or not all(merge))
        raise fields.wrong("merges", wrong, "two pieces with one space between them")
    return cast(list[tuple[str, str]], merges)


def byte_level_engine(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], pre: PreTokenizer
) -> tokenizers.Tokenizer:
    """The `tokenizers` library set up for byte-level BPE. Raises CorruptModelFile if the merges don't fit."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    try:
        engine = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre.whole_words))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise CorruptModelFile(f"the tokenizer's merges don't fit its tokens: {error}", hint=FOLDER_HINT) from None
    if pre.normalizer == "NFC":
        engine.normalizer = normalizers.NFC()
    steps: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.Digits(individual_digits=True)
        if step == DIGITS
        else pre_tokenizers.Split(Regex(step), behavior="isolated")
        for step in pre.steps
    ]
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return engine


def _sentencepiece(fields: GGUFFields) -> Vocabulary:
    pieces = _Pieces(fields)
    texts, kinds = pieces.texts, pieces.kinds
    scores = fields.numbers("scores", pieces.size)
    if scores is None:
        raise CorruptModelFile("tokenizer.ggml.scores is missing", expected="a score for each token")
    if not all(map(math.isfinite, scores)):
        raise fields.wrong("scores", "not all finite", "numbers")
    byte_ids = _byte_ids(pieces)
    normal = int(Kind.NORMAL)
    joined = {text: i for i, text in enumerate(texts) if kinds[i] == normal and text}
    unknown = next(iter(pieces.unknown.values()), pieces.unknown_id)
    bpe = SentencePieceBPE(joined, scores, byte_ids=byte_ids, unknown_id=unknown)
    always = _spaced_user_defined(pieces)
    prefix = fields.flag("add_space_prefix")
    prefix = True if prefix is None else prefix
    add_bos = fields.flag("add_bos_token")

    def encode(text: str, first: bool) -> list[int]:
        escaped = (f" {text}" if prefix else text).replace(" ", SPACE)
        ids: list[int] = []
        for part in always.split(escaped):
            if isinstance(part, int):
                ids.append(part)
            else:
                ids.extend(bpe.encode(part))
        return ids

    return Vocabulary(
        size=pieces.size,
        encode_plain=encode,
        token_bytes=_spaced_bytes(pieces, byte_ids),
        special=pieces.special(),
        hidden=pieces.hidden(),
        bos_id=pieces.bos_id,
        eos_id=pieces.eos_id,
        eos_ids=pieces.eos_ids,
        add_bos=True if add_bos is None else add_bos,
        space_prefix=prefix,
        hashed=lambda: _hash(["llama", str(prefix)], texts, map(repr, scores), map(str, kinds)),
    )


def _merged_sentencepiece(fields: GGUFFields) -> Vocabulary:
    """Gemma 4: pieces as SentencePiece writes them, joined in the order of a list of merges."""
    pieces = _Pieces(fields)
    lines = fields.strings("merges", 4 * MAX_TOKENS)
    if lines is None:
        raise CorruptModelFile("tokenizer.ggml.merges is missing", expected="the merges of a BPE")
    texts, kinds = pieces.texts, pieces.kinds
    byte_ids = _byte_ids(pieces)
    engine = _merging_engine(_mergeable(pieces), _merges(fields, lines), pieces, byte_fallback=byte_ids is not None)
    always = _spaced_user_defined(pieces)
    prefix = fields.flag("add_space_prefix") or False

    def encode(text: str, first: bool) -> list[int]:
        ids: list[int] = []
        for part in always.split((f" {text}" if prefix else text).replace(" ", SPACE)):
            if isinstance(part, int):
                ids.append(part)
            else:
                ids.extend(engine.encode(part, add_special_tokens=False).ids)
        return ids

    return Vocabulary(
        size=pieces.size,
        encode_plain=encode,
        token_bytes=_spaced_bytes(pieces, byte_ids),
        special=pieces.special(),
        hidden=pieces.hidden(),
        bos_id=pieces.bos_id,
        eos_id=pieces.eos_id,
        eos_ids=pieces.eos_ids,
        add_bos=True,  # early files say false, and were never meant
        space_prefix=prefix,
        hashed=lambda: _hash(["gemma4", str(prefix)], texts, lines, map(str, kinds)),
    )


def _merging_engine(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], pieces: _Pieces, *, byte_fallback: bool
) -> tokenizers.Tokenizer:
    """The `tokenizers` library set up for text whose spaces are already `SPACE`."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    unknown = next(iter(pieces.unknown), None)
    if unknown is not None:
        vocabulary = {**vocabulary, unknown: pieces.unknown[unknown]}
    try:
        engine = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=byte_fallback, unk_token=unknown))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise CorruptModelFile(f"the tokenizer's merges don't fit its tokens: {error}", hint=FOLDER_HINT) from None
    # No piece goes over the end of a line, so lines can be looked at one by one.
    engine.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\n]+|\n+"), behavior="isolated")
    return engine


def _spaced_user_defined(pieces: _Pieces) -> AddedTokens:
    return AddedTokens(
        AddedToken(text.replace(" ", SPACE), number) for text, number in pieces.plain_user_defined().items()
    )


def _spaced_bytes(pieces: _Pieces, byte_ids: list[int] | None) -> Callable[[int], bytes]:
    """What a token stands for where spaces are written as `SPACE` and bytes have tokens of their own."""
    values = {number: value for value, number in enumerate(byte_ids)} if byte_ids else {}

    def token_bytes(token: int) -> bytes:
        if token in values:
            return bytes((values[token],))
        text = pieces.texts[token]
        spaced = pieces.kinds[token] != Kind.CONTROL
        return (text.replace(SPACE, " ") if spaced else text).encode("utf-8", "replace")

    return token_bytes


def _byte_ids(pieces: _Pieces) -> list[int] | None:
    """Ids of the 256 byte tokens, `<0x00>` to `<0xFF>`; None if there are none."""
    found = pieces.byte
    if not found:
        return None
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    missing = [name for name in names if name not in found]
    if missing:
        raise CorruptModelFile(
            f"the tokenizer has byte tokens, but not {', '.join(missing[:4])}",
            expected="a token for each of the 256 bytes, or none",
            hint=FOLDER_HINT,
        )
    return [found[name] for name in names]


def _hash(*groups: Any) -> str:
    digest = hashlib.sha256()
    for group in groups:
        items = list(group)
        digest.update(f"{len(items)}\n".encode())
        digest.update("\0".join(items).encode("utf-8", "replace"))
    return digest.hexdigest()
