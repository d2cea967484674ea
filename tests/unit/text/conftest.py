"""Small vocabularies with every feature, as GGUF metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limpide.text import Tokenizer
from limpide.text.vocabulary import byte_alphabet

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


@pytest.fixture
def byte_level_metadata() -> dict[str, Any]:
    """256 bytes, a few merges, ChatML, thinking and tool tags, a run of spaces."""
    pieces = [(character, NORMAL) for character in byte_alphabet()]
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "i m", "Ã ©"]
    pieces += [(merge.replace(" ", ""), NORMAL) for merge in merges]
    pieces += [(text, CONTROL) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    pieces += [(text, USER_DEFINED) for text in ("<think>", "</think>", "<tool_call>", "    ", "<b>")]
    texts = [text for text, _ in pieces]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": np.array([kind for _, kind in pieces], np.int32),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": texts.index("<|im_start|>"),
        "tokenizer.ggml.eos_token_id": texts.index("<|im_end|>"),
        "tokenizer.ggml.add_bos_token": False,
    }


@pytest.fixture
def sentencepiece_metadata() -> dict[str, Any]:
    """Bytes, letters, some words with scores, and a space in front of every text, as Llama 2 has it."""
    pieces = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    pieces += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    words = ["he", "ll", "hell", "hello", "▁w", "or", "▁wor", "▁hello", "ld", "ab", "bab", "aba"]
    pieces += [(word, NORMAL, -float(rank)) for rank, word in enumerate(words)]
    pieces += [(letter, NORMAL, -1000.0) for letter in "▁helowrdab"]
    pieces += [("  ", USER_DEFINED, -1000.0), ("\n", USER_DEFINED, -1000.0)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [text for text, _, _ in pieces],
        "tokenizer.ggml.token_type": np.array([kind for _, kind, _ in pieces], np.int32),
        "tokenizer.ggml.scores": np.array([score for _, _, score in pieces], np.float32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


@pytest.fixture
def byte_level(byte_level_metadata: dict[str, Any]) -> Tokenizer:
    return Tokenizer.from_gguf(byte_level_metadata)


@pytest.fixture
def sentencepiece(sentencepiece_metadata: dict[str, Any]) -> Tokenizer:
    return Tokenizer.from_gguf(sentencepiece_metadata)
