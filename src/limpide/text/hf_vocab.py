"""Vocabularies from a Hugging Face folder: tokenizer.json, and what the files beside it say of special tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpide.core.errors import CorruptModelFile, TokenizerUnavailable
from limpide.text.sentencepiece_bpe import SPACE
from limpide.text.vocabulary import AddedToken, AddedTokens, Vocabulary, byte_level_bytes, end_ids, is_markup

if TYPE_CHECKING:
    import tokenizers

MAX_TOKENIZER_BYTES = 1 << 28
MAX_CONFIG_BYTES = 1 << 24
MAX_DEPTH = 16


def read_folder_vocabulary(folder: Path) -> Vocabulary:
    """Vocabulary of a folder.

    Raises TokenizerUnavailable if it has none that we can read, CorruptModelFile if its files are damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise TokenizerUnavailable(
            f"{folder} has no tokenizer.json",
            hint="get the model's tokenizer.json, or use a GGUF of the model, which holds its tokenizer",
        )
    content = _read(path, MAX_TOKENIZER_BYTES)
    whole = _load(content, path)
    config = _settings(folder / "tokenizer_config.json")
    generation = _settings(folder / "generation_config.json")

    added = whole.get_added_tokens_decoder()
    control: dict[str, int] = {}
    special: list[AddedToken] = []
    always: list[AddedToken] = []
    for number, token in added.items():
        text = token.content
        entry = AddedToken(
            text, number, strip_left=token.lstrip, strip_right=token.rstrip, single_word=token.single_word
        )
        if token.special:
            control[text] = number
        (special if token.special or is_markup(text) else always).append(entry)
    size = 1 + max(whole.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 < size <= 1 << 22:
        raise CorruptModelFile(f"{path.name} has token ids up to {size - 1}", expected="1 to 4,194,304 tokens")

    def named(key: str) -> int | None:
        value = config.get(key)
        text = value.get("content") if isinstance(value, dict) else value
        return whole.token_to_id(text) if isinstance(text, str) else None

    unknown = named("unk_token")
    hidden = {*control.values(), *(() if unknown is None else (unknown,))}
    decoding = _decoding(whole, path)
    engine = _Plain(whole)
    matcher = AddedTokens(always)
    texts = {number: token.content for number, token in added.items()}

    def encode(text: str, first: bool) -> list[int]:
        ids: list[int] = []
        for number, part in enumerate(matcher.split(text)):
            ids.extend([part] if isinstance(part, int) else engine.encode(part, first and number == 0))
        return ids

    def token_bytes(token: int) -> bytes:
        text = texts.get(token)
        if text is not None:
            return text.encode("utf-8", "replace")
        piece = whole.id_to_token(token)
        return b"" if piece is None else decoding.token_bytes(piece)

    bos, eos = named("bos_token"), named("eos_token")
    return Vocabulary(
        size=size,
        encode_plain=encode,
        token_bytes=token_bytes,
        special=AddedTokens(special),
        hidden=frozenset(hidden),
        bos_id=bos,
        eos_id=eos,
        eos_ids=end_ids(control, [eos, *_eos(generation, size)]),
        add_bos=bos is not None and whole.encode("", add_special_tokens=True).ids[:1] == [bos],
        space_prefix=decoding.strips_space,
        hashed=lambda: hashlib.sha256(content).hexdigest(),
    )


def _read(path: Path, limit: int) -> bytes:
    size = path.stat().st_size
    if size > limit:
        raise CorruptModelFile(f"{path.name} has {size} bytes", expected=f"at most {limit}")
    return path.read_bytes()


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(_read(path, MAX_CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise CorruptModelFile(f"{path.name} is no JSON: {error}", expected="a JSON object") from None
    if not isinstance(value, dict):
        raise CorruptModelFile(f"{path.name} holds no JSON object", expected="a JSON object")
    return value


def _load(content: bytes, path: Path) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_buffer(content)
    except BaseException as error:  # the library reports some bad files as a Rust panic, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise CorruptModelFile(
            f"{path} can't be read: {str(error)[:200]}", expected="a tokenizer.json of the tokenizers library"
        ) from None


def _eos(generation: dict[str, Any], size: int) -> list[int]:
    value = generation.get("eos_token_id")
    numbers = value if isinstance(value, list) else [] if value is None else [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < size:
            raise CorruptModelFile(
                f"generation_config.json names {number!r} as end of text", expected=f"an id from 0 to {size - 1}"
            )
    return numbers


class _Plain:
    """The tokenizer without its added tokens, so that no text is taken for one."""

    def __init__(self, whole: tokenizers.Tokenizer) -> None:
        from tokenizers import Tokenizer

        self._first = Tokenizer(whole.model)
        self._rest = Tokenizer(whole.model)
        for engine in (self._first, self._rest):
            if whole.normalizer is not None:
                engine.normalizer = whole.normalizer
            if whole.pre_tokenizer is not None:
                engine.pre_tokenizer = whole.pre_tokenizer
        if _metaspace_scheme(whole) == "first":
            self._rest.pre_tokenizer = _without_prefix(whole)

    def encode(self, text: str, first: bool) -> list[int]:
        engine = self._first if first else self._rest
        return list(engine.encode(text, add_special_tokens=False).ids)


def _state(component: Any) -> Any:
    return json.loads(component.__getstate__()) if component is not None else None


def _parts(state: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """A component's description and those inside it."""
    if not isinstance(state, dict) or depth > MAX_DEPTH:
        return
    yield state
    for key in ("decoders", "pretokenizers", "normalizers"):
        for inner in state.get(key) or ():
            yield from _parts(inner, depth + 1)


def _metaspace_scheme(whole: tokenizers.Tokenizer) -> str | None:
    for part in _parts(_state(whole.pre_tokenizer)):
        if part.get("type") == "Metaspace":
            return str(part.get("prepend_scheme"))
    return None


def _without_prefix(whole: tokenizers.Tokenizer) -> tokenizers.pre_tokenizers.PreTokenizer:
    from tokenizers import pre_tokenizers

    parts: list[pre_tokenizers.PreTokenizer] = []
    for part in _parts(_state(whole.pre_tokenizer)):
        if part.get("type") == "Metaspace":
            replacement = str(part.get("replacement", SPACE))
            parts.append(pre_tokenizers.Metaspace(replacement, "never", bool(part.get("split", True))))
        elif part.get("type") != "Sequence":
            raise TokenizerUnavailable(
                f"the tokenizer cuts text by Metaspace together with {part.get('type')}", expected="Metaspace alone"
            )
    return parts[0]


class _Decoding:
    """How pieces become bytes."""

    def __init__(self, token_bytes: Callable[[str], bytes], strips_space: bool) -> None:
        self.token_bytes = token_bytes
        self.strips_space = strips_space


def _decoding(whole: tokenizers.Tokenizer, path: Path) -> _Decoding:
    parts = list(_parts(_state(whole.decoder)))
    kinds = {part.get("type") for part in parts}
    if "ByteLevel" in kinds:
        return _Decoding(byte_level_bytes, strips_space=False)
    if kinds & {"ByteFallback", "Metaspace", "Replace"}:
        strips = any(part.get("type") == "Strip" and part.get("start") for part in parts) or any(
            part.get("type") == "Metaspace" and part.get("prepend_scheme") != "never" for part in parts
        )
        return _Decoding(_sentencepiece_bytes, strips_space=strips)
    raise TokenizerUnavailable(
        f"{path} turns tokens into text by {sorted(map(str, kinds)) or 'nothing'}",
        expected="byte-level BPE, or SentencePiece-style with byte fallback",
        hint="use a GGUF of the model",
    )


def _sentencepiece_bytes(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return bytes((int(piece[3:5], 16),))
        except ValueError:
            pass
    return piece.replace(SPACE, " ").encode("utf-8", "replace")
