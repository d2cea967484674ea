"""Models with modules of their own as the hub and GGUF converters write them, sizes aside where they don't matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import write_folder, write_gguf

from limpide.core.errors import UnsupportedConfig
from limpide.formats import open_checkpoint
from limpide.models.registry import read_spec
from limpide.models.spec import AttentionSpec, DeltaNetSpec, Mamba2Spec, MLPSpec, ModelSpec, MoESpec

GRANITE: dict[str, Any] = {
    "architectures": ["GraniteMoeHybridForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "attention_multiplier": 0.0078125, "bos_token_id": 100257, "embedding_multiplier": 12, "eos_token_id": 100257,
    "hidden_act": "silu", "hidden_size": 1536, "init_method": "mup", "initializer_range": 0.1,
    "intermediate_size": 512, "layer_types": (["mamba"] * 5 + ["attention"] + ["mamba"] * 4) * 4, "logits_scaling": 6,
    "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 64, "mamba_d_state": 128,
    "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 48, "mamba_proj_bias": False,
    "max_position_embeddings": 131072, "model_type": "granitemoehybrid", "normalization_function": "rmsnorm",
    "num_attention_heads": 12, "num_experts_per_tok": 6, "num_hidden_layers": 40, "num_key_value_heads": 4,
    "num_local_experts": 64, "output_router_logits": False, "pad_token_id": 100256, "position_embedding_type": "nope",
    "residual_multiplier": 0.22, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000,
    "router_aux_loss_coef": 0.0001, "shared_intermediate_size": 1024, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16", "transformers_version": "4.56.0", "use_cache": True, "vocab_size": 100352,
}  # fmt: skip
NEXT: dict[str, Any] = {
    "architectures": ["Qwen3NextForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645, "full_attention_interval": 4,
    "head_dim": 256, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5120,
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
    "linear_value_head_dim": 128, "max_position_embeddings": 262144, "mlp_only_layers": [], "model_type": "qwen3_next",
    "moe_intermediate_size": 512, "norm_topk_prob": True, "num_attention_heads": 16, "num_experts": 512,
    "num_experts_per_tok": 10, "num_hidden_layers": 48, "num_key_value_heads": 2, "output_router_logits": False,
    "partial_rotary_factor": 0.25, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000000,
    "router_aux_loss_coef": 0.001, "shared_expert_intermediate_size": 512, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "transformers_version": "4.57.0.dev0", "use_cache": True, "use_sliding_window": False,
    "vocab_size": 151936,
}  # fmt: skip
QWEN35: dict[str, Any] = {
    "architectures": ["Qwen3_5ForConditionalGeneration"], "image_token_id": 248056, "model_type": "qwen3_5",
    "text_config": {
        "attention_bias": False, "attention_dropout": 0.0, "attn_output_gate": True, "dtype": "bfloat16",
        "eos_token_id": 248044, "full_attention_interval": 4, "head_dim": 256, "hidden_act": "silu",
        "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3584,
        "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 6, "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 16,
        "linear_value_head_dim": 128, "mamba_ssm_dtype": "float32", "max_position_embeddings": 262144,
        "mlp_only_layers": [], "model_type": "qwen3_5_text", "mtp_num_hidden_layers": 1,
        "mtp_use_dedicated_embeddings": False, "num_attention_heads": 8, "num_hidden_layers": 24,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_parameters": {
            "mrope_interleaved": True, "mrope_section": [11, 11, 10], "partial_rotary_factor": 0.25,
            "rope_theta": 10000000, "rope_type": "default",
        }, "tie_word_embeddings": True, "use_cache": True, "vocab_size": 248320,
    },
    "tie_word_embeddings": True, "transformers_version": "4.57.0.dev0", "video_token_id": 248057,
    "vision_config": {"depth": 12}, "vision_end_token_id": 248054, "vision_start_token_id": 248053,
}  # fmt: skip
QWEN35_GGUF: dict[str, Any] = {f"qwen35.{key}": value for key, value in {
    "block_count": 25, "nextn_predict_layers": 1, "context_length": 262144, "embedding_length": 1024,
    "feed_forward_length": 3584, "attention.head_count": 8, "attention.head_count_kv": 2, "attention.key_length": 256,
    "attention.value_length": 256, "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e7,
    "rope.dimension_count": 64, "rope.dimension_sections": [11, 11, 10, 0], "ssm.conv_kernel": 4,
    "ssm.state_size": 128, "ssm.group_count": 16, "ssm.time_step_rank": 16, "ssm.inner_size": 2048,
    "full_attention_interval": 4, "vocab_size": 248320,
}.items()}  # fmt: skip


def from_hf(tmp_path: Path, config: dict[str, Any]) -> ModelSpec:
    tensors = {"anything": np.zeros(1, np.float32)}
    with open_checkpoint(write_folder(tmp_path / "model", config, tensors)) as checkpoint:
        return read_spec(checkpoint)[1]


def from_gguf(tmp_path: Path, config: dict[str, Any], architecture: str) -> ModelSpec:
    tensors = {"anything": np.zeros((1, 32), np.float32)}
    with open_checkpoint(write_gguf(tmp_path / "m.gguf", config, tensors, architecture)) as checkpoint:
        return read_spec(checkpoint)[1]


def test_granite_4_tiny_as_the_hub_has_it(tmp_path: Path) -> None:
    spec = from_hf(tmp_path, GRANITE)
    attention = [index for index, block in enumerate(spec.blocks) if isinstance(block.attention, AttentionSpec)]
    assert attention == [5, 15, 25, 35]
    assert spec.blocks[5].attention.rope is None
    mamba, moe = spec.blocks[0].attention, spec.blocks[0].feed_forward
    assert isinstance(mamba, Mamba2Spec)
    assert (mamba.heads, mamba.head_dim, mamba.state, mamba.channels) == (48, 64, 128, 3328)
    assert isinstance(moe, MoESpec)
    assert (moe.router.chosen, moe.router.order, moe.shared) == (6, "topk_then_score", MLPSpec(1024))
    assert spec.kv_shapes[4:6] == ((0, 0, 0), (4, 128, 128))
    assert [len(shapes) for shapes in spec.state_shapes[4:6]] == [3, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"time_step_limit": [0.001, 0.1]},
        {"mamba_d_head": 32},
        {"mamba_n_groups": 5},
        {"layer_types": ["mamba"] * 39 + ["sliding_attention"]},
        {"layer_types": ["mamba"] * 3},
        {"position_embedding_type": "learned"},
        {"normalization_function": "layernorm"},
    ],
)
def test_what_a_hybrid_asks_for_in_vain_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedConfig, match=next(iter(change)).removeprefix("mamba_n_")):
        from_hf(tmp_path, GRANITE | change)


def test_qwen3_next_as_the_hub_has_it(tmp_path: Path) -> None:
    spec = from_hf(tmp_path, NEXT)
    kinds = [type(block.attention) for block in spec.blocks]
    assert kinds == ([DeltaNetSpec] * 3 + [AttentionSpec]) * 12
    attention = spec.blocks[3].attention
    assert isinstance(attention, AttentionSpec)
    assert attention.out_gate
    assert attention.rope is not None
    assert (attention.rope.dims, attention.rope.theta) == (64, 1e7)
    assert all(isinstance(block.feed_forward, MoESpec) for block in spec.blocks)


def test_qwen3_5_as_the_hub_has_it_and_as_gguf_without_its_last_layer(tmp_path: Path) -> None:
    hub = from_hf(tmp_path, QWEN35)
    file = from_gguf(tmp_path, QWEN35_GGUF, "qwen35")
    assert len(hub.blocks) == len(file.blocks) == 24
    assert hub.blocks[3].attention.rope == file.blocks[3].attention.rope
    assert hub.kv_shapes == file.kv_shapes
    one, other = hub.blocks[0].attention, file.blocks[0].attention
    assert isinstance(one, DeltaNetSpec)
    assert isinstance(other, DeltaNetSpec)
    assert (one.tiled, other.tiled) == (False, True)
    assert (one.state_shapes, one.channels) == (other.state_shapes, 6144)


@pytest.mark.parametrize(
    "change",
    [{"attn_output_gate": False}, {"partial_rotary_factor": 2.0}, {"layer_types": ["full_attention"]}, {"new_key": 1}],
)
def test_what_qwen3_next_asks_for_in_vain_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedConfig, match=next(iter(change))):
        from_hf(tmp_path, NEXT | change)


@pytest.mark.parametrize("change", [{"qwen35.nextn_predict_layers": 2}, {"qwen35.attention.sliding_window": 8}])
def test_what_a_file_asks_for_in_vain_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedConfig, match=next(iter(change))):
        from_gguf(tmp_path, QWEN35_GGUF | change, "qwen35")
