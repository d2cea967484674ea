"""A tokenizer whose tokens are bytes, for models that have none of their own."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from limpide.text.tokenizer import Tokenizer
from limpide.text.vocabulary import AddedToken, AddedTokens, Vocabulary

SPECIAL = ("<|bos|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
BOS, END, ASSISTANT = 256, 257, 260


def byte_tokenizer(
    vocab_size: int | None = None, *, special: Sequence[str] = (), ends: Sequence[str] = ()
) -> Tokenizer:
    """Ids below 256 are bytes, then come `SPECIAL` and `special`. Ids after those, if any are left, have no text.

    ends: those of them that end a turn; `<|end|>` alone if none are named.
    """
    texts = (*SPECIAL, *(text for text in special if text not in SPECIAL))
    vocab_size = vocab_size or 256 + len(texts)
    added = AddedTokens(AddedToken(text, 256 + i) for i, text in enumerate(texts))
    names = {token: text for text, token in added.ids.items()}

    def token_bytes(token: int) -> bytes:
        return bytes([token]) if token < 256 else names.get(token, "").encode()

    return Tokenizer(
        Vocabulary(
            size=vocab_size,
            encode_plain=lambda text, _first: list(text.encode()),
            token_bytes=token_bytes,
            special=added,
            hidden=frozenset(range(256, vocab_size)),
            bos_id=BOS,
            eos_ids=frozenset(added.ids[text] for text in ends) or frozenset({END}),
            add_bos=True,
            space_prefix=False,
            hashed=lambda: sha256(repr((texts, vocab_size)).encode()).hexdigest(),
        )
    )
