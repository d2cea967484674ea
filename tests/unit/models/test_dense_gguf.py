"""GGUF metadata of dense families: what is refused by name, and that nothing in it crashes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import write_gguf

from limpide.core.errors import LimpideError, UnsupportedConfig
from limpide.formats import open_checkpoint
from limpide.models import ModelSpec
from limpide.models.registry import read_spec
from limpide.models.spec import LongRopeScaling, YarnScaling

COMMON: dict[str, Any] = {
    "context_length": 128, "embedding_length": 16, "block_count": 2, "feed_forward_length": 24,
    "attention.head_count": 4, "attention.head_count_kv": 2, "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 10000.0,
}  # fmt: skip
YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32}
GEMMA4 = {
    "attention.key_length": 16, "attention.value_length": 16, "attention.key_length_swa": 8,
    "attention.value_length_swa": 8, "attention.sliding_window": 8, "attention.sliding_window_pattern": [True, False],
    "attention.shared_kv_layers": 0, "embedding_length_per_layer_input": 4, "rope.dimension_count": 16,
    "rope.dimension_count_swa": 8, "rope.freq_base_swa": 10000.0, "feed_forward_length": [24, 48],
    "attention.head_count_kv": [2, 1], "final_logit_softcapping": 30.0,
}  # fmt: skip
METADATA: dict[str, dict[str, Any]] = {
    "qwen2": COMMON,
    "qwen3": COMMON | {"attention.key_length": 8, "attention.value_length": 8},
    "mistral3": COMMON
    | YARN
    | {"attention.temperature_scale": 0.1, "rope.scaling.yarn_log_multiplier": 1.0, "rope.dimension_count": 4},
    "gemma": COMMON | {"attention.key_length": 8, "attention.value_length": 8},
    "gemma2": COMMON | {"attention.sliding_window": 8, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    "granite": COMMON
    | {"attention.scale": 0.1, "embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 8.0}
    | {"attention.head_count_kv": [2, 2], "expert_shared_feed_forward_length": 24, "ssm.state_size": 128},
    "smollm3": COMMON | {"rope.dimension_count": 4},
    "phi3": COMMON | {"rope.dimension_count": 2, "rope.scaling.original_context_length": 32},
    "gpt2": {
        "context_length": 64, "embedding_length": 16, "block_count": 2, "feed_forward_length": 64,
        "attention.head_count": 4, "attention.layer_norm_epsilon": 1e-5,
    },
    "gemma4": COMMON | GEMMA4,
}  # fmt: skip
TENSORS = {"token_embd.weight": np.ones((40, 16), np.float32)}


def read(
    path: Path, architecture: str, metadata: dict[str, Any], tensors: dict[str, np.ndarray] | None = None
) -> ModelSpec:
    keys = {f"{architecture}.{key}": value for key, value in metadata.items()}
    with open_checkpoint(write_gguf(path / "m.gguf", keys, TENSORS | (tensors or {}), architecture)) as checkpoint:
        return read_spec(checkpoint)[1]


@pytest.mark.parametrize(
    ("architecture", "change"),
    [
        ("qwen2", {"rope.dimension_count": 2}),
        ("qwen2", {"expert_count": 8}),
        ("qwen2", {"attention.sliding_window": 8}),
        ("qwen3", {"attention.value_length": 4}),
        ("qwen3", {"logit_scale": 2.0}),
        ("mistral3", {"attention.temperature_length": 8}),
        ("gemma", {"attention.sliding_window": 8}),
        ("gemma2", {"attention.sliding_window_pattern": 6}),
        ("granite", {"logit_scale": 0.0}),
        ("granite", {"attention.head_count_kv": [2, 1]}),
        ("granite", {"expert_shared_feed_forward_length": 20}),
        ("smollm3", {"rope.scaling.type": "longrope"}),
        ("phi3", {"attention.clamp_kqv": 8.0}),
        ("gpt2", {"attention.head_count_kv": 2}),
        ("gemma4", {"expert_count": 8}),
        ("gemma4", {"attention.sliding_window_pattern": [True]}),
        ("gemma4", {"rope.dimension_count": 8}),
        ("gemma4", {"feed_forward_length": [24]}),
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_refused_by_name(tmp_path: Path, architecture: str, change: dict[str, Any]) -> None:
    read(tmp_path, architecture, METADATA[architecture])
    (key,) = change
    with pytest.raises(UnsupportedConfig, match=f"{architecture}\\.{key}".replace(".", r"\.").replace(r"\\.", r"\.")):
        read(tmp_path, architecture, METADATA[architecture] | change)


@pytest.mark.parametrize(("layers", "scale"), [(42, 8**-0.5), (46, 4**-0.5)])
def test_gemma_2_of_46_layers_scales_by_its_embedding(tmp_path: Path, layers: int, scale: float) -> None:
    metadata = METADATA["gemma2"] | {"block_count": layers, "attention.key_length": 8, "attention.value_length": 8}
    assert read(tmp_path, "gemma2", metadata).blocks[0].attention.scale == pytest.approx(scale)


def test_long_rope_comes_from_two_tensors(tmp_path: Path) -> None:
    """As the converter writes it, which says nothing of a scaling's type."""
    factors = {
        f"rope_factors_{kind}.weight": np.array([value], np.float32) for kind, value in (("short", 1), ("long", 4))
    }
    rope = (
        read(tmp_path, "phi3", METADATA["phi3"] | {"rope.scaling.attn_factor": 1.5}, factors).blocks[0].attention.rope
    )
    assert rope is not None
    assert rope.scaling == LongRopeScaling((1.0,), (4.0,), 32, 4.0, attention_factor=1.5)


def test_a_log_multiplier_is_that_of_all_dimensions(tmp_path: Path) -> None:
    rope = read(tmp_path, "mistral3", METADATA["mistral3"]).blocks[0].attention.rope
    assert rope is not None
    assert rope.scaling == YarnScaling(4.0, 32, mscale=1.0, mscale_all_dim=1.0)


STRANGE: list[Any] = [0, 1, 3, 2**31, -1.0, 0.5, 1e30, float("nan"), "", "x", True, [1, 2], [0.5], ["x"], [2**30, 1]]


@pytest.mark.parametrize("architecture", METADATA)
def test_whatever_a_stranger_writes_is_read_or_refused(tmp_path: Path, architecture: str) -> None:
    """One of our errors, at once, and never a crash from deep inside."""
    for key in (*METADATA[architecture], "vocab_size", "attention.causal", "rope.scaling.type", "attention.key_length"):
        for strange in STRANGE:
            with contextlib.suppress(LimpideError):
                read(tmp_path, architecture, METADATA[architecture] | {key: strange})
