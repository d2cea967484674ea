"""Where byte-level BPE cuts text, against transformers' own table of the same names."""

from __future__ import annotations

import random

import pytest
from tokenizers import Regex, pre_tokenizers
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from limpide.text.gguf_vocab import byte_level_engine
from limpide.text.pretokenizers import PRE_TOKENIZERS

NAMES = sorted(GGUF_PRE_TOKENIZER_SPLITS.keys() & PRE_TOKENIZERS.keys())
BITS = [
    "a",
    "B",
    "é",
    "e\u0301",
    "ñ",
    "日",
    "ก็",
    "ह",
    "ǅ",
    "ʰ",
    "1",
    "Ⅷ",
    "²",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\u00a0",
    "'",
]
BITS += ["s", "'S", "'ll", "!", "/", "_", "$", "€", "🙂", "\u200d", "\u0301", "-", "«", "\x00", "\U000e0041"]


def reference(name: str) -> pre_tokenizers.PreTokenizer:
    if name in GGUF_PRE_TOKENIZER_SPLITS:
        cut = pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[name]), behavior="isolated")
        return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)  # the library's own GPT-2 cut
    if name == "gpt-2":
        return gpt2
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])


def test_the_tables_overlap() -> None:
    assert {"llama-bpe", "qwen2", "qwen35", "tekken", "gpt-4o"} <= set(NAMES)


@pytest.mark.parametrize("name", [*NAMES, "gpt-2", "smollm", "starcoder"])
def test_cuts(name: str) -> None:
    ours, theirs = byte_level_engine({"a": 0}, [], PRE_TOKENIZERS[name]).pre_tokenizer, reference(name)
    draw = random.Random(name)
    for _ in range(300):
        text = "".join(draw.choices(BITS, k=draw.randrange(1, 25)))
        assert ours.pre_tokenize_str(text) == theirs.pre_tokenize_str(text), text
