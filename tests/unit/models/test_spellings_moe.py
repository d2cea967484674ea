"""Mixtures of experts as the hub has them: what each configuration amounts to, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from limpide.core.errors import UnsupportedConfig
from limpide.models import ModelSpec, gpt_oss, granite_moe, llama4, mixtral, qwen2_moe, qwen3_moe
from limpide.models.config import HARMLESS_HF, ConfigReader
from limpide.models.spec import (
    GateClamp,
    Llama3Scaling,
    MaskSpec,
    MLPSpec,
    MoESpec,
    QueryTemperature,
    RouterSpec,
    YarnScaling,
)

COMMON: dict[str, Any] = {
    "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "initializer_range": 0.02,
    "torch_dtype": "bfloat16", "transformers_version": "4.52.0", "use_cache": True, "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}  # fmt: skip
MIXTRAL = COMMON | {
    "architectures": ["MixtralForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8, "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False, "vocab_size": 32000,
}  # fmt: skip
QWEN3 = COMMON | {
    "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": False, "decoder_sparse_step": 1, "head_dim": 128,
    "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 40960, "max_window_layers": 48,
    "mlp_only_layers": [], "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": True,
    "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48,
    "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0,
    "sliding_window": None, "tie_word_embeddings": False, "use_sliding_window": False, "vocab_size": 151936,
}  # fmt: skip
QWEN2 = COMMON | {
    "architectures": ["Qwen2MoeForCausalLM"], "decoder_sparse_step": 1, "hidden_size": 2048, "intermediate_size": 5632,
    "max_position_embeddings": 8192, "max_window_layers": 21, "model_type": "qwen2_moe", "moe_intermediate_size": 1408,
    "norm_topk_prob": False, "num_attention_heads": 16, "num_experts": 60, "num_experts_per_tok": 4,
    "num_hidden_layers": 24, "num_key_value_heads": 16, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "shared_expert_intermediate_size": 5632, "sliding_window": 32768, "tie_word_embeddings": False,
    "use_sliding_window": False, "vocab_size": 151936,
}  # fmt: skip
GPT_OSS = COMMON | {
    "architectures": ["GptOssForCausalLM"], "attention_bias": True, "experts_per_token": 4, "head_dim": 64,
    "hidden_size": 2880, "initial_context_length": 4096, "intermediate_size": 2880,
    "layer_types": ["sliding_attention", "full_attention"] * 12, "max_position_embeddings": 131072,
    "model_type": "gpt_oss", "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 24,
    "num_key_value_heads": 8, "num_local_experts": 32, "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0, "original_max_position_embeddings": 4096,
        "rope_type": "yarn", "truncate": False,
    },
    "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0,
    "tie_word_embeddings": False, "vocab_size": 201088,
}  # fmt: skip
GRANITE = COMMON | {
    "architectures": ["GraniteMoeForCausalLM"], "attention_bias": False, "attention_multiplier": 0.015625,
    "embedding_multiplier": 12.0, "hidden_size": 1024, "intermediate_size": 512, "logits_scaling": 6.0,
    "max_position_embeddings": 131072, "model_type": "granitemoe", "num_attention_heads": 16, "num_experts_per_tok": 8,
    "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": 32, "residual_multiplier": 0.22,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1500000, "tie_word_embeddings": True,
    "vocab_size": 49155,
}  # fmt: skip
SCOUT = COMMON | {
    "_attn_implementation_autoset": True, "attention_bias": False, "attention_chunk_size": 8192, "attn_scale": 0.1,
    "attn_temperature_tuning": 4, "floor_scale": 8192, "for_llm_compressor": False, "head_dim": 128,
    "hidden_size": 5120, "interleave_moe_layer_step": 1, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
    "max_position_embeddings": 10485760, "model_type": "llama4_text", "no_rope_layers": [], "num_attention_heads": 40,
    "num_experts_per_tok": 1, "num_hidden_layers": 48, "num_key_value_heads": 8, "num_local_experts": 16,
    "pad_token_id": 200018, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "router_jitter_noise": 0.0,
    "rope_scaling": {
        "factor": 16.0, "high_freq_factor": 1.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "use_qk_norm": True, "vocab_size": 202048,
}  # fmt: skip
MAVERICK = SCOUT | {
    "interleave_moe_layer_step": 2, "num_local_experts": 128, "rope_scaling": None, "use_qk_norm": False,
    "max_position_embeddings": 1048576,
}  # fmt: skip
Reader = Callable[[ConfigReader], ModelSpec]


def read(family: Reader, config: dict[str, Any]) -> ModelSpec:
    reader = ConfigReader(config, "config.json")
    reader.harmless("model_type")
    spec = family(reader)
    reader.finish(harmless=HARMLESS_HF)
    return spec


def moes(spec: ModelSpec) -> list[MoESpec | None]:
    return [b.feed_forward if isinstance(b.feed_forward, MoESpec) else None for b in spec.blocks]


@pytest.mark.parametrize(
    ("family", "config", "expected"),
    [
        (mixtral.from_hf, MIXTRAL, MoESpec(RouterSpec(8, 2), MLPSpec(14336))),
        (qwen3_moe.from_hf, QWEN3, MoESpec(RouterSpec(128, 8), MLPSpec(768))),
        (
            qwen2_moe.from_hf,
            QWEN2,
            MoESpec(
                RouterSpec(60, 4, renormalise=False), MLPSpec(1408), shared=MLPSpec(5632), shared_gate=True
            ),
        ),
        (
            gpt_oss.from_hf,
            GPT_OSS,
            MoESpec(
                RouterSpec(32, 4, order="topk_then_score", bias=True),
                MLPSpec(2880, bias=True, clamp=GateClamp(1.702, 7.0)),
            ),
        ),
        (granite_moe.from_hf, GRANITE, MoESpec(RouterSpec(32, 8, order="topk_then_score"), MLPSpec(512))),
    ],
)  # fmt: skip
def test_every_layer_has_these_experts(family: Reader, config: dict[str, Any], expected: MoESpec) -> None:
    assert set(moes(read(family, config))) == {expected}


def test_qwen_windows_are_off_unless_asked_for() -> None:
    for family, config in ((qwen2_moe.from_hf, QWEN2), (qwen3_moe.from_hf, QWEN3)):
        assert {b.attention.mask for b in read(family, config).blocks} == {MaskSpec()}
    asked = read(qwen2_moe.from_hf, QWEN2 | {"use_sliding_window": True, "max_window_layers": 3})
    assert [b.attention.mask.kind for b in asked.blocks[:5]] == ["window", "full", "window", "full", "full"]


def test_qwen_layers_without_experts() -> None:
    sparse = moes(read(qwen3_moe.from_hf, QWEN3 | {"decoder_sparse_step": 2, "mlp_only_layers": [3]}))
    assert [index for index, moe in enumerate(sparse) if moe is not None] == [1, *range(5, 48, 2)]


def test_gpt_oss_in_both_spellings() -> None:
    old = read(gpt_oss.from_hf, GPT_OSS)
    scaling = GPT_OSS["rope_scaling"]
    new = {k: v for k, v in GPT_OSS.items() if k not in ("rope_scaling", "rope_theta", "layer_types")}
    assert read(gpt_oss.from_hf, new | {"rope_parameters": scaling | {"rope_theta": 150000}}) == old
    assert read(gpt_oss.from_hf, new) == old  # what the family means by leaving them out
    attention = old.blocks[0].attention
    assert attention.sinks
    assert attention.rope is not None
    assert attention.rope.scaling == YarnScaling(32.0, 4096, truncate=False)
    assert [b.attention.mask for b in old.blocks[:2]] == [MaskSpec("window", 128), MaskSpec()]


def test_scout_and_maverick() -> None:
    scout, maverick = read(llama4.from_hf, SCOUT), read(llama4.from_hf, MAVERICK)
    for index, block in enumerate(scout.blocks):
        attention = block.attention
        if index % 4 == 3:
            assert (attention.rope, attention.mask, attention.qk_norm) == (None, MaskSpec(), None)
            assert attention.q_temperature == QueryTemperature(0.1, 8192, 1)
        else:
            assert attention.rope is not None
            assert attention.rope.style == "interleaved"
            assert attention.rope.scaling == Llama3Scaling(16.0, 1.0, 1.0, 8192)
            assert (attention.mask, attention.q_temperature) == (MaskSpec("chunk", 8192), None)
            assert attention.qk_norm is not None
    assert None not in moes(scout)
    assert [moe is None for moe in moes(maverick)] == [True, False] * 24
    assert maverick.blocks[0].feed_forward == MLPSpec(16384)
    assert all(block.attention.qk_norm is None for block in maverick.blocks)


@pytest.mark.parametrize(
    ("family", "config", "change"),
    [
        (mixtral.from_hf, MIXTRAL, {"hidden_act": "gelu"}),
        (mixtral.from_hf, MIXTRAL, {"shared_expert_intermediate_size": 4}),
        (qwen3_moe.from_hf, QWEN3, {"decoder_sparse_step": 0}),
        (qwen3_moe.from_hf, QWEN3, {"mlp_only_layers": "all"}),
        (qwen2_moe.from_hf, QWEN2, {"norm_topk_prob": 1}),
        (gpt_oss.from_hf, GPT_OSS, {"experts_per_token": 8}),
        (gpt_oss.from_hf, GPT_OSS, {"initial_context_length": 8192}),
        (gpt_oss.from_hf, GPT_OSS, {"swiglu_limit": 0}),
        (gpt_oss.from_hf, GPT_OSS, {"layer_types": ["full_attention"]}),
        (gpt_oss.from_hf, GPT_OSS, {"rope_ntk_alpha": 2.0}),
        (granite_moe.from_hf, GRANITE, {"logits_scaling": 0}),
        (granite_moe.from_hf, GRANITE, {"layer_types": ["mamba"] * 24}),
        (llama4.from_hf, SCOUT, {"attn_temperature_tuning": False}),
        (llama4.from_hf, SCOUT, {"no_rope_layers": [1, 2] * 24}),
        (llama4.from_hf, SCOUT, {"no_rope_layers": [1, 0]}),
        (llama4.from_hf, SCOUT, {"no_rope_layer_interval": 0}),
        (llama4.from_hf, SCOUT, {"layer_types": ["sliding_attention"] * 48}),
        (llama4.from_hf, SCOUT, {"for_llm_compressor": True}),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(
    family: Reader, config: dict[str, Any], change: dict[str, Any]
) -> None:
    (key,) = change
    with pytest.raises(UnsupportedConfig, match=key):
        read(family, config | change)


@pytest.mark.parametrize("count", [0, 1025, 2**39])
def test_a_number_of_experts_beyond_reason_is_refused(count: int) -> None:
    """Before a name is made for each."""
    with pytest.raises(UnsupportedConfig, match=r"router\.experts"):
        read(mixtral.from_hf, MIXTRAL | {"num_local_experts": count})
