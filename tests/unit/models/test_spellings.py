"""One model, written the way each generation of checkpoints writes it: one description."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_checkpoint import LLAMA

from limpide.models.config import HARMLESS_HF, ConfigReader
from limpide.models.gemma3 import from_hf as gemma3
from limpide.models.llama import from_hf as llama
from limpide.models.spec import LinearScaling, Llama3Scaling, MaskSpec, ModelSpec

LLAMA3 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 32}
# As the hub has them, sizes aside.
SMOLLM2 = LLAMA | {
    "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.04,
    "is_llama_config": True, "mlp_bias": False, "pad_token_id": 2, "pretraining_tp": 1, "rope_interleaved": False,
    "rope_scaling": None, "rope_theta": 100000, "transformers_version": "4.42.3",
    "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
}  # fmt: skip
GEMMA3: dict[str, Any] = {
    "architectures": ["Gemma3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "attn_logit_softcapping": None, "bos_token_id": 2, "eos_token_id": 1, "final_logit_softcapping": None,
    "head_dim": 8, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 16, "initializer_range": 0.02,
    "intermediate_size": 24, "max_position_embeddings": 128, "model_type": "gemma3_text", "num_attention_heads": 4,
    "num_hidden_layers": 7, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 8,
    "rms_norm_eps": 1e-6, "sliding_window": 8, "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0",
    "use_cache": True, "vocab_size": 40,
}  # fmt: skip
TYPES = ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"]


def read(family: Any, config: dict[str, Any]) -> ModelSpec:
    reader = ConfigReader(config, "config.json")
    reader.harmless("model_type")
    spec: ModelSpec = family(reader)
    reader.finish(harmless=HARMLESS_HF)
    return spec


def test_the_default_model_as_the_hub_has_it() -> None:
    rope = read(llama, SMOLLM2).blocks[0].attention.rope
    assert rope is not None
    assert (rope.theta, rope.scaling, rope.style) == (100000.0, None, "half")


def test_llama_3_in_both_spellings() -> None:
    old = LLAMA | {"rope_theta": 500000.0, "rope_scaling": LLAMA3 | {"rope_type": "llama3"}}
    new = LLAMA | {"rope_parameters": LLAMA3 | {"rope_type": "llama3", "rope_theta": 500000.0}}
    assert read(llama, old) == read(llama, new)
    rope = read(llama, new).blocks[0].attention.rope
    assert rope is not None
    assert rope.scaling == Llama3Scaling(32.0, 1.0, 4.0, 32)


@pytest.mark.parametrize(
    "pattern", [{"sliding_window_pattern": 6}, {"_sliding_window_pattern": 6}, {"layer_types": TYPES}, {}]
)
def test_gemma_3_in_both_spellings(pattern: dict[str, Any]) -> None:
    scaling = {"rope_type": "linear", "factor": 8.0}
    old = GEMMA3 | pattern | {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": scaling}
    new = GEMMA3 | pattern | {
        "rope_parameters": {
            "full_attention": scaling | {"rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }
    }  # fmt: skip
    spec = read(gemma3, old)
    assert spec == read(gemma3, new)
    ropes = [block.attention.rope for block in spec.blocks]
    masks = [block.attention.mask for block in spec.blocks]
    assert masks == [MaskSpec("window", 8)] * 5 + [MaskSpec(), MaskSpec("window", 8)]
    assert all(rope is not None for rope in ropes)
    assert [(r.theta, r.scaling) for r in ropes if r] == [(1e4, None)] * 5 + [(1e6, LinearScaling(8.0)), (1e4, None)]
    assert spec.embed_scale == 4.0
    assert spec.blocks[0].attention.scale == pytest.approx(8**-0.5)


@pytest.mark.parametrize(
    "config",
    [
        {"use_bidirectional_attention": True},
        {"attn_logit_softcapping": 50.0},
        {"hidden_activation": "silu"},
        {"layer_types": TYPES[:-1]},
        {"layer_types": [*TYPES[:-1], "chunked_attention"]},
        {"query_pre_attn_scalar": 0},
        {"sliding_window": 0},
        {"mm_tokens_per_image": 256},
    ],
    ids=str,
)
def test_what_gemma_3_cannot_do_is_refused_by_name(config: dict[str, Any]) -> None:
    from limpide.core.errors import UnsupportedConfig

    (key,) = config
    with pytest.raises(UnsupportedConfig, match="mask.size" if key == "sliding_window" else key):
        read(gemma3, GEMMA3 | config)
