"""Text to token ids and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from limpide.core.errors import InvalidParameter, InvalidText
from limpide.text.gguf_vocab import read_gguf_vocabulary
from limpide.text.hf_vocab import read_folder_vocabulary
from limpide.text.vocabulary import Vocabulary


class Tokenizer:
    """One model's tokenizer. Safe to use from several threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Use `from_gguf` or `from_folder`."""
        self._vocabulary = vocabulary
        self._bytes: dict[int, bytes] = {}
        self.vocab_size: int = vocabulary.size
        """One more than the highest token id."""
        self.bos_id: int | None = vocabulary.bos_id
        self.eos_id: int | None = vocabulary.eos_id
        """The end token that the file names; templates are given its text."""
        self.eos_ids: frozenset[int] = vocabulary.eos_ids
        """Every token that ends a turn or a text."""
        self.add_bos: bool = vocabulary.add_bos and vocabulary.bos_id is not None
        """Whether the model was trained with `bos_id` in front of each text."""
        self.space_prefix: bool = vocabulary.space_prefix
        """Whether text is encoded with a space in front, which decoding takes away (Llama 2)."""
        self.special_tokens: Mapping[str, int] = vocabulary.special.ids
        """Tokens that only a template may write, by their text."""
        self.hidden_ids: frozenset[int] = vocabulary.hidden
        """Tokens that `decode` leaves out unless asked: control and unknown tokens."""

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> Tokenizer:
        """Tokenizer of a GGUF file's key/values: byte-level BPE, or SentencePiece-style BPE with byte fallback.

        Raises TokenizerUnavailable if there is none that we can read, CorruptModelFile if its parts contradict one
        another.
        """
        return cls(read_gguf_vocabulary(metadata))

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Tokenizer of a Hugging Face folder: tokenizer.json, with what its other files say of special tokens.

        Raises TokenizerUnavailable and CorruptModelFile as `from_gguf` does.
        """
        return cls(read_folder_vocabulary(folder))

    @cached_property
    def sha256(self) -> str:
        """Identifies the vocabulary: files that hold the same tokenizer in the same form have the same."""
        return self._vocabulary.hashed()

    def encode(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Ids of a text.

        With `special=False` nothing in the text becomes structure: what looks like a special token is encoded as the
        characters it consists of. `special=True` is for text that a template wrote. `bos=True` puts `bos_id` in front
        if the model was trained so (`add_bos`). Raises InvalidText for surrogates, which no UTF-8 has.
        """
        _check(text)
        ids = [self.bos_id] if bos and self.add_bos and self.bos_id is not None else []
        if not special:
            return ids + (self._vocabulary.encode_plain(text, True) if text else [])
        for number, part in enumerate(self._vocabulary.special.split(text)):
            if isinstance(part, int):
                ids.append(part)
            else:
                ids.extend(self._vocabulary.encode_plain(part, number == 0))
        return ids

    def decode(self, ids: Iterable[int], *, special: bool = False) -> str:
        """Text of ids. Bytes that are no UTF-8 become U+FFFD. Hidden tokens are left out unless `special`."""
        numbers = ids if special else (number for number in ids if number not in self.hidden_ids)
        data = b"".join(map(self.token_bytes, numbers))
        if self.space_prefix and data.startswith(b" "):
            data = data[1:]
        return data.decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """Bytes that a token adds to the text; of a special token, its name. Raises InvalidParameter out of range."""
        known = self._bytes.get(token)
        if known is None:
            if not 0 <= token < self.vocab_size:
                raise InvalidParameter("token", token, f"an id from 0 to {self.vocab_size - 1}")
            known = self._bytes[token] = self._vocabulary.token_bytes(token)
        return known

    def split_special(self, text: str) -> list[str | int]:
        """The text cut at special tokens: strings between them, ids for them."""
        return list(self._vocabulary.special.split(text))

    def encode_part(self, text: str, *, first: bool) -> list[int]:
        """Ids of one plain part of a longer text. `first` says that nothing comes before it. Raises InvalidText."""
        _check(text)
        return self._vocabulary.encode_plain(text, first) if text else []


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"the text has a lone surrogate at character {error.start}", expected="text that UTF-8 can write"
        ) from None
