"""Configurations as publishers have them, and what of them is refused by name."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from limpide.core.errors import UnsupportedConfig
from limpide.models import (
    BlockSpec,
    ModelSpec,
    gemma,
    gemma2,
    gemma3,
    gemma4,
    gpt2,
    granite,
    granitemoehybrid,
    llama,
    mistral,
    phi3,
    qwen2,
    qwen3,
    smollm3,
)
from limpide.models.config import HARMLESS_HF, ConfigReader
from limpide.models.family import Family
from limpide.models.spec import LongRopeScaling, MaskSpec, QueryTemperature, YarnScaling

SIZES: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "initializer_range": 0.02,
    "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16", "use_cache": True,
    "transformers_version": "4.47.0",
}  # fmt: skip
QWEN2 = SIZES | {
    "model_type": "qwen2", "hidden_act": "silu", "max_window_layers": 2, "rope_theta": 1000000.0, "sliding_window": 8,
    "tie_word_embeddings": True, "use_mrope": False, "use_sliding_window": False,
}  # fmt: skip
QWEN3 = {key: value for key, value in QWEN2.items() if key != "use_mrope"} | {
    "model_type": "qwen3", "attention_bias": False, "head_dim": 8, "rope_scaling": None,
}  # fmt: skip
MISTRAL = SIZES | {
    "model_type": "mistral", "hidden_act": "silu", "head_dim": 8, "rope_theta": 1000000.0, "sliding_window": None,
    "tie_word_embeddings": False,
}  # fmt: skip
MINISTRAL3 = MISTRAL | {
    "model_type": "ministral3",
    "rope_parameters": {
        "type": "yarn", "rope_type": "yarn", "rope_theta": 1000000.0, "factor": 16.0, "beta_fast": 32.0,
        "beta_slow": 1.0, "original_max_position_embeddings": 16, "max_position_embeddings": 128, "mscale": 1.0,
        "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
    },
}  # fmt: skip
GEMMA = SIZES | {
    "model_type": "gemma", "hidden_act": "gelu", "hidden_activation": None, "head_dim": 8, "rope_scaling": None,
    "rope_theta": 10000.0, "attention_bias": False,
}  # fmt: skip
GEMMA2 = SIZES | {
    "model_type": "gemma2", "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "head_dim": 8,
    "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 4, "sliding_window": 8,
    "cache_implementation": "hybrid", "rope_theta": 10000.0, "attention_bias": False,
}  # fmt: skip
GRANITE = SIZES | {
    "model_type": "granite", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
    "attention_multiplier": 0.015625, "embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 8.0,
    "rope_scaling": None, "rope_theta": 10000000.0, "tie_word_embeddings": True,
}  # fmt: skip
GRANITE4 = {key: value for key, value in GRANITE.items() if key != "mlp_bias"} | {
    "model_type": "granitemoehybrid", "layer_types": ["attention"] * 4, "num_local_experts": 0,
    "num_experts_per_tok": 0, "shared_intermediate_size": 20, "position_embedding_type": "rope", "init_method": "mup",
    "normalization_function": "rmsnorm", "output_router_logits": False, "router_aux_loss_coef": 0.01,
    "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 64, "mamba_d_state": 256,
    "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 64, "mamba_proj_bias": False,
}  # fmt: skip
SMOLLM3 = SIZES | {
    "model_type": "smollm3", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
    "layer_types": ["full_attention"] * 4, "max_window_layers": 28, "no_rope_layer_interval": 4,
    "no_rope_layers": [1, 1, 1, 0], "pretraining_tp": 2, "rope_scaling": None, "rope_theta": 5000000.0,
    "sliding_window": None, "use_sliding_window": False,
}  # fmt: skip
PHI4_MINI = SIZES | {
    "model_type": "phi3", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "lm_head_bias": False,
    "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
    "full_attn_mod": 1, "interpolate_factor": 1, "original_max_position_embeddings": 32, "hidden_size": 32,
    "partial_rotary_factor": 0.75, "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": True,
    "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5, 2.0], "long_factor": [2.0, 3.0, 4.0]},
}  # fmt: skip
GPT2: dict[str, Any] = {
    "model_type": "gpt2", "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
    "bos_token_id": 39, "embd_pdrop": 0.1, "eos_token_id": 39, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5,
    "n_ctx": 64, "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 64, "resid_pdrop": 0.1, "vocab_size": 40,
    "summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True,
    "summary_type": "cls_index", "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
}  # fmt: skip
GEMMA4 = SIZES | {
    "model_type": "gemma4_text", "hidden_activation": "gelu_pytorch_tanh", "attention_bias": False, "head_dim": 8,
    "attention_k_eq_v": False, "enable_moe_block": False, "final_logit_softcapping": 30.0, "global_head_dim": 16,
    "hidden_size_per_layer_input": 4, "moe_intermediate_size": None, "num_experts": None, "top_k_experts": None,
    "num_global_key_value_heads": None, "num_kv_shared_layers": 2, "sliding_window": 8, "tie_word_embeddings": True,
    "layer_types": ["sliding_attention", "full_attention"] * 2, "use_bidirectional_attention": None,
    "use_double_wide_mlp": True, "vocab_size_per_layer_input": 40,
    "rope_parameters": {
        "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
}  # fmt: skip
FULL, WINDOW = MaskSpec(), MaskSpec("window", 8)


def read(family: Family, config: dict[str, Any]) -> ModelSpec:
    reader = ConfigReader(config, "config.json")
    reader.harmless("model_type")
    spec = family.from_hf(reader)
    reader.finish(harmless=HARMLESS_HF)
    return spec


def blocks(family: Family, config: dict[str, Any]) -> tuple[BlockSpec, ...]:
    return read(family, config).blocks


def masks(family: Family, config: dict[str, Any]) -> list[MaskSpec]:
    return [block.attention.mask for block in blocks(family, config)]


def without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


def test_qwen() -> None:
    attention = blocks(qwen2.FAMILY, QWEN2)[0].attention
    assert (attention.qkv_bias, attention.out_bias, attention.qk_norm) == (True, False, None)
    attention = blocks(qwen3.FAMILY, QWEN3)[0].attention
    assert (attention.qkv_bias, attention.head_dim, attention.qk_norm is None) == (False, 8, False)
    for family, config in ((qwen2.FAMILY, QWEN2), (qwen3.FAMILY, QWEN3)):
        assert masks(family, config) == [FULL] * 4
        assert masks(family, config | {"use_sliding_window": True}) == [FULL, FULL, WINDOW, WINDOW]
        assert masks(family, config | {"use_sliding_window": True, "sliding_window": None}) == [FULL] * 4
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    rope = blocks(qwen2.FAMILY, QWEN2 | {"rope_scaling": yarn})[0].attention.rope
    assert rope is not None
    assert rope.scaling == YarnScaling(4.0, 32)


def test_a_window_of_mistral_that_is_left_out_is_not_none() -> None:
    assert masks(mistral.FAMILY, MISTRAL) == [FULL] * 4
    assert masks(mistral.FAMILY, without(MISTRAL, "sliding_window")) == [MaskSpec("window", 4096)] * 4
    assert masks(mistral.FAMILY, without(MINISTRAL3, "sliding_window")) == [FULL] * 4
    types = ["full_attention", "sliding_attention"] * 2
    assert masks(mistral.FAMILY, MISTRAL | {"layer_types": types, "sliding_window": 8}) == [FULL, WINDOW] * 2


def test_ministral_3_cools_its_queries() -> None:
    attention = blocks(mistral.FAMILY, MINISTRAL3)[0].attention
    assert attention.q_temperature == QueryTemperature(0.1, 16)
    assert blocks(mistral.FAMILY, MISTRAL)[0].attention.q_temperature is None


def test_gemma() -> None:
    spec = read(gemma.FAMILY, GEMMA)
    assert (spec.tied, spec.embed_scale, spec.blocks[0].feed_forward) == (
        True,
        4.0,
        blocks(gemma2.FAMILY, GEMMA2)[0].feed_forward,
    )
    attention = blocks(gemma2.FAMILY, GEMMA2)[0].attention
    assert (attention.scale, attention.softcap) == (0.5, 50.0)
    assert masks(gemma2.FAMILY, GEMMA2) == [WINDOW, FULL] * 2


@pytest.mark.parametrize(("key", "default"), [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)])
def test_a_softcap_of_gemma_2_that_is_left_out_is_not_none(key: str, default: float) -> None:
    def caps(config: dict[str, Any]) -> dict[str, float | None]:
        spec = read(gemma2.FAMILY, config)
        return {
            "attn_logit_softcapping": spec.blocks[0].attention.softcap,
            "final_logit_softcapping": spec.final_softcap,
        }

    assert caps(without(GEMMA2, key))[key] == default
    assert caps(GEMMA2 | {key: None})[key] is None


def test_gemma_3_inside_a_multimodal_configuration_says_little() -> None:
    """As in the 4B model's: what is a default is left out."""
    text = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 6, "sliding_window": 8}
    spec = read(gemma3.FAMILY, text | {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}})
    attention = spec.blocks[0].attention
    assert (attention.heads, attention.kv_heads, attention.head_dim, spec.vocab_size) == (8, 4, 256, 262208)


def test_granite() -> None:
    spec = read(granite.FAMILY, GRANITE)
    assert (spec.embed_scale, spec.logit_scale) == (12.0, 1 / 8)
    assert (spec.blocks[0].attention.scale, spec.blocks[0].residual_scale) == (0.015625, 0.22)
    fourth = read(granitemoehybrid.FAMILY, GRANITE4)
    assert (fourth.blocks[0].feed_forward, fourth.logit_scale) == (type(spec.blocks[0].feed_forward)(20), 1 / 8)
    assert blocks(granitemoehybrid.FAMILY, GRANITE4 | {"position_embedding_type": "nope"})[0].attention.rope is None


def test_smollm3() -> None:
    for config in (SMOLLM3, without(SMOLLM3, "no_rope_layers")):
        ropes = [block.attention.rope for block in blocks(smollm3.FAMILY, config)]
        assert [rope is None for rope in ropes] == [False, False, False, True]
        assert ropes[0] is not None
        assert ropes[0].theta == 5e6


def test_phi_4_mini_in_both_spellings() -> None:
    rope = blocks(phi3.FAMILY, PHI4_MINI)[0].attention.rope
    assert rope is not None
    assert (rope.dims, rope.scaling) == (6, LongRopeScaling((1.0, 1.5, 2.0), (2.0, 3.0, 4.0), 32, 4.0))
    scaling = PHI4_MINI["rope_scaling"] | {
        "rope_theta": 10000.0, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 32,
    }  # fmt: skip
    new = without(PHI4_MINI, "rope_scaling", "rope_theta", "partial_rotary_factor") | {"rope_parameters": scaling}
    assert read(phi3.FAMILY, new) == read(phi3.FAMILY, PHI4_MINI)
    plain = without(PHI4_MINI, "rope_scaling", "partial_rotary_factor", "full_attn_mod", "interpolate_factor")
    assert blocks(phi3.FAMILY, plain | {"sliding_window": 8})[0].attention.mask == WINDOW


def test_gpt2() -> None:
    spec = read(gpt2.FAMILY, GPT2)
    assert (spec.learned_positions, spec.tied, spec.blocks[0].feed_forward.width) == (True, True, 64)
    assert spec.blocks[0].attention.rope is None


def test_gemma_4() -> None:
    spec = read(gemma4.FAMILY, GEMMA4)
    attentions = [block.attention for block in spec.blocks]
    assert [attention.head_dim for attention in attentions] == [8, 16, 8, 16]
    assert [attention.kv_source_layer for attention in attentions] == [None, None, 0, 1]
    assert [block.feed_forward.width for block in spec.blocks] == [24, 24, 48, 48]
    assert spec.kv_shapes == ((2, 8), (2, 16), (0, 0), (0, 0))
    keys_are_values = GEMMA4 | {"attention_k_eq_v": True, "num_global_key_value_heads": 1, "num_kv_shared_layers": 0}
    attentions = [block.attention for block in blocks(gemma4.FAMILY, keys_are_values)]
    assert [(a.kv_heads, a.k_eq_v) for a in attentions] == [(2, False), (1, True)] * 2
    own = without(keys_are_values, "global_head_dim", "num_global_key_value_heads") | {
        "per_layer_config": {layer: {"head_dim": 16, "num_key_value_heads": 1} for layer in ("1", "3")}
    }
    assert read(gemma4.FAMILY, own) == read(gemma4.FAMILY, keys_are_values)


CONFIGS: list[tuple[Family, dict[str, Any]]] = [
    (qwen2.FAMILY, QWEN2), (qwen3.FAMILY, QWEN3), (mistral.FAMILY, MISTRAL), (mistral.FAMILY, MINISTRAL3),
    (gemma.FAMILY, GEMMA), (gemma2.FAMILY, GEMMA2), (granite.FAMILY, GRANITE), (granitemoehybrid.FAMILY, GRANITE4),
    (smollm3.FAMILY, SMOLLM3), (phi3.FAMILY, PHI4_MINI), (gpt2.FAMILY, GPT2), (gemma4.FAMILY, GEMMA4),
]  # fmt: skip
STRANGE: list[Any] = [
    None, -1, 0, 1, 3, 2**40, 2**39, 10**400, 1e300, float("nan"), float("inf"), "", "x", [], [1], ["x"] * 4, [1] * 4,
    [None] * 4, {}, {"a": 1}, {"full_attention": 3}, {"1": {"head_dim": 2**39}}, True, 0.5,
]  # fmt: skip


@pytest.mark.parametrize(("family", "config"), CONFIGS, ids=[config["model_type"] for _, config in CONFIGS])
def test_whatever_a_stranger_writes_is_read_or_refused(family: Family, config: dict[str, Any]) -> None:
    """One of our errors, at once, and never a crash from deep inside."""
    for key, value in config.items():
        for strange in STRANGE:
            deeper = [value | {inside: strange} for inside in value] if isinstance(value, dict) else []
            for changed in (strange, *deeper):
                with contextlib.suppress(UnsupportedConfig):
                    read(family, config | {key: changed})


REFUSED: list[tuple[Family, dict[str, Any], dict[str, Any]]] = [
    (llama.FAMILY, SIZES | {"hidden_act": "silu"}, {"no_rope_layers": [1, 1, 1, 0]}),
    (qwen2.FAMILY, QWEN2, {"use_mrope": True}),
    (qwen2.FAMILY, QWEN2, {"hidden_act": "gelu"}),
    (qwen2.FAMILY, QWEN2, {"layer_types": ["full_attention"] * 3}),
    (qwen2.FAMILY, QWEN2, {"qk_layernorm": True}),
    (qwen3.FAMILY, QWEN3, {"num_experts": 8}),
    (qwen3.FAMILY, QWEN3, {"hidden_act": "gelu"}),
    (mistral.FAMILY, MISTRAL, {"layer_types": ["chunked_attention"] * 4}),
    (mistral.FAMILY, MISTRAL, {"num_local_experts": 8}),
    (mistral.FAMILY, MINISTRAL3, {"rope_parameters": MINISTRAL3["rope_parameters"] | {"surprise": 1}}),
    (mistral.FAMILY, MISTRAL, {"rope_scaling": {"type": "linear", "factor": 2.0, "llama_4_scaling_beta": 0.1}}),
    (gemma.FAMILY, GEMMA, {"hidden_act": "silu"}),
    (gemma.FAMILY, GEMMA, {"use_bidirectional_attention": True}),
    (gemma.FAMILY, GEMMA, {"sliding_window": 8}),
    (gemma2.FAMILY, GEMMA2, {"hidden_activation": "silu"}),
    (gemma2.FAMILY, GEMMA2, {"use_bidirectional_attention": True}),
    (gemma2.FAMILY, GEMMA2, {"query_pre_attn_scalar": 0}),
    (gemma2.FAMILY, GEMMA2, {"layer_types": ["sliding_attention"] * 5}),
    (granite.FAMILY, GRANITE, {"logits_scaling": 0.0}),
    (granite.FAMILY, GRANITE, {"num_local_experts": 8}),
    (granitemoehybrid.FAMILY, GRANITE4, {"layer_types": ["mamba", "attention"] * 2}),
    (granitemoehybrid.FAMILY, GRANITE4, {"layer_types": None}),
    (granitemoehybrid.FAMILY, GRANITE4, {"num_local_experts": 8}),
    (granitemoehybrid.FAMILY, GRANITE4, {"normalization_function": "layernorm"}),
    (smollm3.FAMILY, SMOLLM3, {"no_rope_layers": [1, 1]}),
    (smollm3.FAMILY, SMOLLM3, {"no_rope_layers": [1, 1, 1, 2]}),
    (phi3.FAMILY, PHI4_MINI, {"partial_rotary_factor": 1.5}),
    (phi3.FAMILY, PHI4_MINI, {"full_attn_mod": 2}),
    (phi3.FAMILY, PHI4_MINI, {"lm_head_bias": True}),
    (phi3.FAMILY, PHI4_MINI, {"mlp_bias": True}),
    (phi3.FAMILY, PHI4_MINI, {"attention_bias": True}),
    (gpt2.FAMILY, GPT2, {"activation_function": "swish"}),
    (gpt2.FAMILY, GPT2, {"scale_attn_by_inverse_layer_idx": True}),
    (gpt2.FAMILY, GPT2, {"scale_attn_weights": False}),
    (gpt2.FAMILY, GPT2, {"add_cross_attention": True}),
    (gpt2.FAMILY, GPT2, {"n_ctx": 32}),
    (gemma4.FAMILY, GEMMA4, {"enable_moe_block": True}),
    (gemma4.FAMILY, GEMMA4, {"use_bidirectional_attention": "all"}),
    (gemma4.FAMILY, GEMMA4, {"hidden_activation": "silu"}),
    (gemma4.FAMILY, GEMMA4, {"num_kv_shared_layers": 4}),
    (gemma4.FAMILY, GEMMA4, {"num_kv_shared_layers": 400}),
    (gemma4.FAMILY, GEMMA4, {"vocab_size_per_layer_input": 20}),
    (gemma4.FAMILY, GEMMA4, {"per_layer_config": {"9": {"head_dim": 16}}}),
    (gemma4.FAMILY, GEMMA4, {"per_layer_config": {"1": {"sliding_window": 16}}}),
]


@pytest.mark.parametrize(("family", "config", "change"), REFUSED, ids=[f"{f.name}-{c}" for f, _, c in REFUSED])
def test_what_cannot_be_followed_is_refused_by_name(
    family: Family, config: dict[str, Any], change: dict[str, Any]
) -> None:
    read(family, config)
    (key,) = change
    inner = {"rope_parameters": "surprise", "rope_scaling": "llama_4_scaling_beta"}
    with pytest.raises(UnsupportedConfig, match=inner.get(key, key)):
        read(family, config | change)
