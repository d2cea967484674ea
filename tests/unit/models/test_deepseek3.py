"""DeepSeek as the hub and GGUF converters write it, and what is left out or refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import write_folder, write_gguf

from limpide.core.errors import CorruptModelFile, UnsupportedConfig
from limpide.formats import open_checkpoint
from limpide.models import load_model
from limpide.models.config import HARMLESS_HF, ConfigReader
from limpide.models.deepseek3 import FAMILY
from limpide.models.parameters import parameters
from limpide.models.registry import read_spec
from limpide.models.spec import LatentAttentionSpec, MLPSpec, ModelSpec, MoESpec

# As the hub has R1's, without its quantization.
R1: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"}, "bos_token_id": 0, "eos_token_id": 1,
    "ep_size": 1, "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168, "initializer_range": 0.02,
    "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840, "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1,
    "norm_topk_prob": True, "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
    "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": {
        "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096, "type": "yarn",
    }, "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": False,
    "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "transformers_version": "4.46.3",
    "use_cache": True, "v_head_dim": 128, "vocab_size": 129280,
}  # fmt: skip
# The same from a GGUF file of early 2025, which knows nothing of groups.
GGUF: dict[str, Any] = {f"deepseek2.{key}": value for key, value in {
    "context_length": 163840, "embedding_length": 7168, "block_count": 61, "feed_forward_length": 18432,
    "attention.head_count": 128, "attention.head_count_kv": 128, "attention.layer_norm_rms_epsilon": 1e-6,
    "attention.q_lora_rank": 1536, "attention.kv_lora_rank": 512, "attention.key_length": 192,
    "attention.value_length": 128, "rope.dimension_count": 64, "rope.freq_base": 10000.0, "rope.scaling.type": "yarn",
    "rope.scaling.factor": 40.0, "rope.scaling.original_context_length": 4096,
    "rope.scaling.yarn_log_multiplier": 0.1, "vocab_size": 129280, "leading_dense_block_count": 3,
    "expert_count": 256, "expert_used_count": 8, "expert_shared_count": 1, "expert_feed_forward_length": 2048,
    "expert_weights_norm": True, "expert_weights_scale": 2.5, "expert_gating_func": 2,
}.items()}  # fmt: skip


def from_hf(**changes: Any) -> ModelSpec:
    reader = ConfigReader(R1 | changes, "config.json")
    reader.harmless("model_type")
    spec = FAMILY.from_hf(reader)
    reader.finish(harmless=HARMLESS_HF)
    return spec


def from_gguf(tmp_path: Path, joint: bool = True, **changes: Any) -> ModelSpec:
    names = ["blk.0.attn_kv_b.weight"] if joint else []
    tensors = {name: np.zeros((1, 32), np.float32) for name in ["output.weight", "blk.3.exp_probs_b.bias", *names]}
    metadata = GGUF | {f"deepseek2.{key}": value for key, value in changes.items()}
    with open_checkpoint(write_gguf(tmp_path / "m.gguf", metadata, tensors, "deepseek2")) as checkpoint:
        return read_spec(checkpoint)[1]


def test_r1_as_the_hub_has_it() -> None:
    spec = from_hf()
    assert [type(b.feed_forward) for b in spec.blocks] == [MLPSpec] * 3 + [MoESpec] * 58
    assert spec.kv_shapes == ((1, 576, 0),) * 61
    attention, moe = spec.blocks[-1].attention, spec.blocks[-1].feed_forward
    assert isinstance(attention, LatentAttentionSpec)
    assert attention.scale == pytest.approx((0.1 * math.log(40) + 1) ** 2 / math.sqrt(192))
    assert isinstance(moe, MoESpec)
    assert (moe.router.groups, moe.router.groups_kept, moe.router.scale) == (8, 4, 2.5)


def test_a_file_that_does_not_tell_the_groups_is_the_same_model(tmp_path: Path) -> None:
    told, untold = from_hf().blocks, from_gguf(tmp_path).blocks
    assert [block.feed_forward for block in untold] == [block.feed_forward for block in told]
    assert untold[0].attention.scale == pytest.approx(told[0].attention.scale)


def test_the_layer_for_multi_token_prediction_is_left_out(tmp_path: Path) -> None:
    small = R1 | {
        "hidden_size": 8, "intermediate_size": 8, "kv_lora_rank": 8, "q_lora_rank": 8, "vocab_size": 8,
        "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 2, "first_k_dense_replace": 2,
    }  # fmt: skip
    spec = from_hf(**small)
    names = FAMILY.stored_names(spec, "safetensors")
    tensors = {names[ours].name: np.zeros(shape, np.float32) for ours, shape in parameters(spec).items()}
    extra = {"model.layers.2.eh_proj.weight": np.zeros((8, 16), np.float32)}
    with open_checkpoint(write_folder(tmp_path / "mtp", small, tensors | extra)) as checkpoint:
        assert len(load_model(checkpoint).blocks) == 2
    beyond = {"model.layers.3.eh_proj.weight": np.zeros((8, 16), np.float32)}
    with open_checkpoint(write_folder(tmp_path / "more", small, tensors | beyond)) as checkpoint:
        with pytest.raises(CorruptModelFile, match=r"model\.layers\.3"):
            load_model(checkpoint)
    with pytest.raises(UnsupportedConfig, match="num_nextn_predict_layers"):
        from_hf(num_nextn_predict_layers=2)


@pytest.mark.parametrize(
    "change",
    [
        {"scoring_func": "softmax"},
        {"topk_method": "greedy"},
        {"moe_layer_freq": 2},
        {"num_key_value_heads": 8},
        {"qk_head_dim": 100},
        {"index_topk": 2048},
        {"n_group": 7},
        {"hidden_act": "gelu"},
    ],
)
def test_what_is_not_computed_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedConfig, match="|".join(["groups", *change])):
        from_hf(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"attention.head_count_kv": 1},
        {"rope.dimension_count": 192},
        {"expert_gating_func": 1},
        {"rope.scaling.yarn_log_multiplier": 0.0},
        {"attention.temperature_scale": 0.1},
    ],
)
def test_what_a_file_asks_for_in_vain_is_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedConfig, match=next(iter(change))):
        from_gguf(tmp_path, **change)
