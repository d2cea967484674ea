"""What a row of the parity table is, and what rows share: how llama.cpp's converter changes tensors and keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig

BASE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
LENGTH = 40
"""Longer than every window and original context below."""


def rope_metadata(writer: gguf.GGUFWriter, config: Any) -> None:
    """The keys of a llama-like file."""
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(head_dim(config))


def gemma3_metadata(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
    writer.add_sliding_window(config.sliding_window)
    if config.final_logit_softcapping:
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def interleaved(name: str, values: np.ndarray, config: Any) -> np.ndarray:
    """Rows (first half, second half) of each head become pairs, as llama.cpp's rotation of llama wants them."""
    if "q_proj" not in name and "k_proj" not in name:
        return values
    heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def with_one(name: str, values: np.ndarray, config: Any) -> np.ndarray:
    """Norm weights of Gemma get their 1."""
    return values + np.float32(1) if "norm" in name else values


def as_they_are(name: str, values: np.ndarray, config: Any) -> np.ndarray:
    return values


def toy_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """Any vocabulary at all: llama.cpp opens no file without one."""
    named = ["<unk>", "<s>", "</s>"]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(named + [f"word{index}" for index in range(len(named), size)])
    writer.add_token_scores([0.0] * size)
    special = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_token_types([*special, *[gguf.TokenType.NORMAL] * (size - len(named))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


@dataclass(frozen=True)
class Tiny:
    """One row of the parity table."""

    name: str
    config: Callable[[], PreTrainedConfig]
    gguf: gguf.MODEL_ARCH | None
    """None: llama.cpp's format can't say what is special about this row."""
    gguf_rope: dict[str, Any] = field(default_factory=dict)
    """`rope.scaling.*` keys that the config amounts to."""
    metadata: Callable[[gguf.GGUFWriter, Any], None] = rope_metadata
    """Writes the keys that this architecture has beside the common ones."""
    convert: Callable[[str, np.ndarray, Any], np.ndarray | dict[str, np.ndarray]] = interleaved
    """A tensor of transformers as the file has it, or several by other names of transformers."""
    extra: Callable[[Any], dict[str, np.ndarray]] = lambda config: {}
    """Tensors that only the file has."""
    transposed: tuple[str, ...] = ()
    """Ends of the names of matrices that transformers stores the other way round."""
    prepare: Callable[[Any], None] = lambda model: None
    """Makes what is no parameter of the reference count."""
    written: Callable[[Any, Path, gguf.GGMLQuantizationType | None], dict[str, Tensor]] | None = None
    """How its GGUF files are made, if not from the fields above: from the model, to a file, in this format."""
    auto: Any = AutoModelForCausalLM
    """Which of transformers' makers knows the config."""


def head_dim(config: Any) -> int:
    """Of every layer, or of those that aren't said to differ."""
    return config.to_dict().get("head_dim") or config.hidden_size // config.num_attention_heads


def llama3_divisors(config: Any) -> dict[str, np.ndarray]:
    """The tensor that carries Llama 3's scaling."""
    rope, dims = config.rope_parameters, head_dim(config)
    divisors = []
    for pair in range(0, dims, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (pair / dims)
        original, low, high = (
            rope[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
        )
        if wavelength < original / high:
            divisors.append(1.0)
        elif wavelength > original / low:
            divisors.append(rope["factor"])
        else:
            smooth = (original / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return {"rope_freqs.weight": np.array(divisors, dtype=np.float32)}
