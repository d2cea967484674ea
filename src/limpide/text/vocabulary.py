"""What a tokenizer is made of, whichever file it came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token that is matched as a whole in text, never built by merges."""

    text: str
    id: int
    strip_left: bool = False
    """White space before it belongs to it."""
    strip_right: bool = False
    single_word: bool = False
    """Only matches where no letter or digit touches it."""


class AddedTokens:
    """Finds added tokens in text: leftmost first, the longest of those that begin at the same place."""

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        self._tokens = {token.text: token for token in tokens if token.text}
        self.ids: Mapping[str, int] = {text: token.id for text, token in self._tokens.items()}
        # Vocabularies have up to 6,000 added tokens: an alternation of all would be slow to compile and to run, so the
        # pattern only finds their first two characters and a dictionary does the rest.
        lengths: dict[str, set[int]] = {}
        for text in self._tokens:
            lengths.setdefault(text[:2], set()).add(len(text))
        self._lengths = {start: sorted(each, reverse=True) for start, each in lengths.items()}
        starts = sorted(self._lengths, key=lambda start: (-len(start), start))
        self._start = re.compile("|".join(map(re.escape, starts))) if starts else None

    def find(self, text: str, position: int = 0) -> tuple[int, AddedToken] | None:
        """Where the first added token at or after `position` begins, and which it is."""
        if self._start is None:
            return None
        while found := self._start.search(text, position):
            begin = found.start()
            # A start of two characters hides a token that is its first character alone, so that is tried after it.
            for start in dict.fromkeys((text[begin : begin + 2], text[begin])):
                for length in self._lengths.get(start, ()):
                    token = self._tokens.get(text[begin : begin + length])
                    if token is not None and (not token.single_word or _stands_alone(text, begin, begin + length)):
                        return begin, token
            position = begin + 1
        return None

    def split(self, text: str) -> Iterator[str | int]:
        """The text cut at added tokens: strings for what is between (never empty), ids for the tokens."""
        position = 0
        while found := self.find(text, position):
            begin, token = found
            before = text[position:begin]
            if token.strip_left:
                before = before.rstrip()
            if before:
                yield before
            yield token.id
            position = begin + len(token.text)
            if token.strip_right:
                position += len(text) - position - len(text[position:].lstrip())
        if position < len(text):
            yield text[position:]


def _stands_alone(text: str, begin: int, end: int) -> bool:
    return not (begin and _is_word(text[begin - 1])) and not (end < len(text) and _is_word(text[end]))


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything that `Tokenizer` needs to know of a file."""

    size: int
    """One more than the highest id."""
    encode_plain: Callable[[str, bool], list[int]]
    """Ids of text in which no special token is looked for; the flag says whether it is the very beginning."""
    token_bytes: Callable[[int], bytes]
    """Bytes that a token stands for. The id is in range."""
    special: AddedTokens
    """Tokens that only a template may write."""
    hidden: frozenset[int]
    """Tokens that have no place in an answer: control and unknown tokens."""
    bos_id: int | None
    eos_ids: frozenset[int]
    add_bos: bool
    space_prefix: bool
    """Text is encoded with a space put in front, which decoding takes away again."""
    hashed: Callable[[], str]
    """Computes the sha256 that identifies the vocabulary."""
    eos_id: int | None = None
    """The end token that the file itself names, whose text templates are given."""


END_TOKENS: Final = frozenset(
    (
        *(
            "<|im_end|>",
            "<|endoftext|>",
            "<|end_of_text|>",
            "<|eot_id|>",
            "<|eom_id|>",
            "<|eot|>",
            "<|eom|>",
            "<|end|>",
        ),
        *(
            "<|return|>",
            "<|call|>",
            "<end_of_turn>",
            "<turn|>",
            "<|tool_response>",
            "<eos>",
            "<EOT>",
            "<|EOT|>",
            "[EOT]",
            "[EOS]",
        ),
        *("<｜end▁of▁sentence｜>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>"),
    )
)
"""Control tokens that end a turn or a text wherever they exist, whether or not the file names them as such."""


def end_ids(control: Mapping[str, int], declared: Iterable[int | None]) -> frozenset[int]:
    """Every token that ends an answer: those that the file declares, and those known by their text."""
    ids = {number for number in declared if number is not None}
    known = {text: number for text, number in control.items() if text in END_TOKENS}
    if "<|return|>" in known and "<|call|>" in known:
        # In the harmony format it ends a message and the turn goes on, even if a file declares it an end.
        ids.discard(known.pop("<|end|>", -1))
    return frozenset(ids | set(known.values()))


_MARKUP = re.compile(
    r"<[|｜].*|.*[|｜]>"  # <|…|>, <|…>, <…|>
    r"|</?(?:think|thinking|reason|reasoning|thought|reflection|scratchpad|response|tools?|function|parameter)>"
    r"|</?\w*_\w*>|</?\w*-\w*>"  # <tool_call>, <start_of_image>; no HTML element has such a name
    r"|\[/?[A-Z][A-Z_]*\]|\[[A-Za-z_]+\d+\]|\[multimodal\]",  # [INST], [THINK], [PAD12]
    re.DOTALL,
)


def is_markup(text: str) -> bool:
    """Whether an added token that is not declared as control is nevertheless structure that users must not write.

    Vocabularies declare `<think>` and `<tool_call>` in the same way as runs of spaces and HTML elements. The latter are
    text and match anywhere; the former may come from a template only.
    """
    return _MARKUP.fullmatch(text) is not None


@cache
def byte_alphabet() -> Mapping[str, int]:
    """Byte that each character of a byte-level vocabulary stands for (GPT-2's printable alphabet)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


def byte_level_bytes(piece: str) -> bytes:
    """Bytes of a byte-level piece; a piece outside the alphabet stands for itself."""
    alphabet = byte_alphabet()
    try:
        return bytes([alphabet[character] for character in piece])
    except KeyError:
        return piece.encode("utf-8", "replace")
