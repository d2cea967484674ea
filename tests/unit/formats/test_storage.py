"""The tables of sizes, held against gguf-py and torch."""

from __future__ import annotations

import gguf

from limpide.formats.storage import GGUF_TYPES, SAFETENSORS_TYPES, STORAGE


def test_gguf_types() -> None:
    for number, name in GGUF_TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert kind.name == name
        assert gguf.GGML_QUANT_SIZES[kind] == STORAGE[name]


def test_safetensors_types() -> None:
    assert set(STORAGE) >= SAFETENSORS_TYPES
    for name in SAFETENSORS_TYPES - {"BOOL"}:
        digits = name.lstrip("BFIU").partition("_")[0]
        assert STORAGE[name] == (1, int(digits) // 8)
