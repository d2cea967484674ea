"""LongRoPE has two sets of frequencies: a backend chooses one for good, since cached keys can't be turned again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from limpide.backends.local import LocalBackend

CONFIG: dict[str, Any] = {
    "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "vocab_size": 40, "hidden_size": 16,
    "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 64, "original_max_position_embeddings": 8, "rms_norm_eps": 1e-5, "hidden_act": "silu",
    "rope_theta": 10000.0, "tie_word_embeddings": True, "sliding_window": None,
    "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0, 4.0, 8.0, 16.0]},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (40, 16), "model.norm.weight": (16,)}
    for layer in range(2):
        parts = {
            "input_layernorm": (16,), "post_attention_layernorm": (16,), "self_attn.qkv_proj": (32, 16),
            "self_attn.o_proj": (16, 16), "mlp.gate_up_proj": (48, 16), "mlp.down_proj": (16, 24),
        }  # fmt: skip
        shapes |= {f"model.layers.{layer}.{part}.weight": shape for part, shape in parts.items()}
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def logits(folder: Path, count: int, context: int | None) -> np.ndarray:
    backend = LocalBackend.open(folder, numerics="exact", context=context)
    try:
        return backend.logits(range(1, count + 1))
    finally:
        backend.close()


def test_a_short_text_is_the_start_of_a_long_one(folder: Path) -> None:
    whole = logits(folder, 20, None)
    assert np.array_equal(logits(folder, 5, None), whole[:5])
    assert not np.allclose(logits(folder, 5, 8), whole[:5])


def test_within_the_original_context_frequencies_are_the_short_ones(folder: Path) -> None:
    short = logits(folder, 5, 8)
    scaling = CONFIG["rope_scaling"] | {"long_factor": CONFIG["rope_scaling"]["short_factor"]}
    (folder / "config.json").write_text(json.dumps(CONFIG | {"rope_scaling": scaling}))
    assert np.array_equal(logits(folder, 5, None), short)
