"""Rows of dense families."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gguf
import numpy as np
import torch
from tiny_row import BASE, Tiny, as_they_are, interleaved, rope_metadata, with_one
from transformers import (
    AutoModelForImageTextToText,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    Gemma4Config,
    Gemma4TextConfig,
    GemmaConfig,
    GPT2Config,
    GraniteConfig,
    GraniteMoeHybridConfig,
    LlamaConfig,
    Ministral3Config,
    MinistralConfig,
    Mistral3Config,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

ARCH = gguf.MODEL_ARCH
SLIDING, FULL = "sliding_attention", "full_attention"


def _of(kind: type[PreTrainedConfig], **changes: Any) -> Callable[[], PreTrainedConfig]:
    # transformers writes into the mappings that it is given
    return lambda: kind(**deepcopy(BASE | {"max_position_embeddings": 64} | changes))


def _theta(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def _ministral3(writer: gguf.GGUFWriter, config: Any) -> None:
    rope_metadata(writer, config)
    writer.add_rope_scaling_yarn_beta_fast(config.rope_parameters["beta_fast"])
    writer.add_rope_scaling_yarn_beta_slow(config.rope_parameters["beta_slow"])
    writer.add_rope_scaling_yarn_log_mul(config.rope_parameters["mscale_all_dim"])
    writer.add_attn_temperature_scale(config.rope_parameters["llama_4_scaling_beta"])


def _gemma2(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    writer.add_sliding_window(config.sliding_window)


def _granite(writer: gguf.GGUFWriter, config: Any) -> None:
    rope_metadata(writer, config)
    writer.add_attention_scale(config.attention_multiplier)
    writer.add_embedding_scale(config.embedding_multiplier)
    writer.add_residual_scale(config.residual_multiplier)
    writer.add_logit_scale(config.logits_scaling)


def _phi3(writer: gguf.GGUFWriter, config: Any) -> None:
    rope = config.rope_parameters
    share = rope.get("partial_rotary_factor", 1.0)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(share * config.hidden_size) // config.num_attention_heads)
    writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
    writer.add_sliding_window(config.sliding_window or 0)
    if "long_factor" in rope:
        scale, original = (
            config.max_position_embeddings / config.original_max_position_embeddings,
            np.log(config.original_max_position_embeddings),
        )
        writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(scale) / original)))


def _phi3_factors(config: Any) -> dict[str, np.ndarray]:
    names = {"short_factor": "rope_factors_short.weight", "long_factor": "rope_factors_long.weight"}
    rope = config.rope_parameters
    return {theirs: np.array(rope[ours], np.float32) for ours, theirs in names.items() if ours in rope}


def _gpt2(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)


def _granite4(writer: gguf.GGUFWriter, config: Any) -> None:
    _granite(writer, config)
    writer.add_head_count_kv([config.num_key_value_heads] * config.num_hidden_layers)
    writer.add_expert_shared_feed_forward_length(config.shared_intermediate_size)
    writer.add_ssm_conv_kernel(config.mamba_d_conv)
    writer.add_ssm_state_size(config.mamba_d_state)
    writer.add_ssm_group_count(config.mamba_n_groups)
    writer.add_ssm_inner_size(config.mamba_expand * config.hidden_size)
    writer.add_ssm_time_step_rank(config.mamba_n_heads)
    writer.add_rope_scaling_finetuned(config.position_embedding_type == "rope")


def _split_shared_mlp(name: str, values: np.ndarray, config: Any) -> np.ndarray | dict[str, np.ndarray]:
    if "shared_mlp.input_linear" in name:
        gate, up = np.split(values, 2)
        stem = name.replace("shared_mlp.input_linear", "mlp.{}_proj")
        return {stem.format("gate"): gate, stem.format("up"): up}
    if "shared_mlp.output_linear" in name:
        return {name.replace("shared_mlp.output_linear", "mlp.down_proj"): values}
    return interleaved(name, values, config)


def gemma4_metadata(writer: gguf.GGUFWriter, config: Any) -> None:
    layers = range(config.num_hidden_layers)
    sliding, full = (config.per_layer_config[layer] for layer in (0, 1))
    windows = [kind == SLIDING for kind in config.layer_types]
    writer.add_rope_freq_base(1e6)
    writer.add_rope_freq_base_swa(1e4)
    writer.add_sliding_window(config.sliding_window)
    writer.add_sliding_window_pattern(windows)
    writer.add_shared_kv_layers(config.num_kv_shared_layers)
    writer.add_embedding_length_per_layer_input(config.hidden_size_per_layer_input)
    writer.add_key_length(full.head_dim)
    writer.add_value_length(full.head_dim)
    writer.add_key_length_swa(sliding.head_dim)
    writer.add_value_length_swa(sliding.head_dim)
    writer.add_rope_dimension_count(full.head_dim)
    writer.add_rope_dimension_count_swa(sliding.head_dim)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if config.use_double_wide_mlp:
        first = config.num_hidden_layers - config.num_kv_shared_layers
        writer.add_feed_forward_length([config.intermediate_size * (1 + (layer >= first)) for layer in layers])
    if config.attention_k_eq_v:
        writer.add_head_count_kv([(sliding if w else full).num_key_value_heads for w in windows])


def _gemma4_names(name: str, values: np.ndarray, config: Any) -> dict[str, np.ndarray]:
    return {name + ".weight" if name.endswith("layer_scalar") else name: values}


def gemma4_divisors(config: Any) -> dict[str, np.ndarray]:
    """A quarter of the full layers' pairs turn."""
    pairs = config.per_layer_config[1].head_dim // 2
    return {"rope_freqs.weight": np.array([1.0] * (pairs // 4) + [1e30] * (pairs - pairs // 4), np.float32)}


def gemma4_scalars(model: Any) -> None:
    """Scalars that aren't 1, and norms of queries that let attention see more than one key, as it has no scale."""
    for layer in model.model.layers:
        layer.layer_scalar.mul_(torch.rand(1) + 0.5)
        layer.self_attn.q_norm.weight.mul_(0.3)


_MINISTRAL3_ROPE = {
    "rope_type": "yarn", "rope_theta": 10.0, "factor": 4.0, "original_max_position_embeddings": 16,
    "beta_fast": 1.0, "beta_slow": 0.25, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
}  # fmt: skip
_LONGROPE = {
    "rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], "long_factor": [1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
}  # fmt: skip
_WINDOWED = {"sliding_window": 8}
_GEMMA2 = {
    "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 8.0,
}  # fmt: skip
_GRANITE = {
    "attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.3, "logits_scaling": 4.0,
}  # fmt: skip
GEMMA4 = {
    "num_hidden_layers": 7, "layer_types": [SLIDING, FULL, SLIDING, FULL, SLIDING, SLIDING, FULL], "head_dim": 8,
    "global_head_dim": 16, "sliding_window": 8, "final_logit_softcapping": 8.0,
}  # fmt: skip
_GEMMA3 = {"head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16, "num_hidden_layers": 7}
_SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "image_size": 8, "patch_size": 2,
}  # fmt: skip
_PIXTRAL = {
    "model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "image_size": 8, "patch_size": 2, "head_dim": 8,
}  # fmt: skip
_GPT2 = {"vocab_size": 96, "n_positions": 64, "n_embd": 32, "n_layer": 4, "n_head": 4}

DENSE: tuple[Tiny, ...] = (
    # Reka Flash 3 is a Llama with heads of 96 and a high θ
    Tiny(
        "reka",
        _of(
            LlamaConfig, head_dim=96, num_attention_heads=2, num_key_value_heads=1,
            rope_parameters={"rope_type": "default", "rope_theta": 8e6},
        ),
        ARCH.LLAMA,
    ),
    Tiny("qwen2", _of(Qwen2Config), ARCH.QWEN2, metadata=_theta, convert=as_they_are),
    Tiny("qwen2-windows", _of(Qwen2Config, use_sliding_window=True, max_window_layers=2, **_WINDOWED), None),
    Tiny("qwen3", _of(Qwen3Config, head_dim=16), ARCH.QWEN3, metadata=_theta, convert=as_they_are),
    Tiny("mistral", _of(MistralConfig, head_dim=16, sliding_window=None), ARCH.LLAMA),
    Tiny("mistral-window", _of(MistralConfig, **_WINDOWED), None),
    Tiny("mistral-small", _of(MistralConfig, head_dim=16, sliding_window=None), ARCH.MISTRAL3),
    Tiny("ministral", _of(MinistralConfig, head_dim=8, layer_types=[FULL, SLIDING] * 2, **_WINDOWED), None),
    Tiny(
        "ministral3",
        _of(Ministral3Config, head_dim=16, rope_parameters=_MINISTRAL3_ROPE),
        ARCH.MISTRAL3,
        {"type": "yarn", "factor": 4.0, "original_context_length": 16},
        metadata=_ministral3,
    ),
    Tiny("gemma", _of(GemmaConfig, head_dim=16), ARCH.GEMMA, metadata=lambda writer, config: None, convert=with_one),
    Tiny("gemma2", _of(Gemma2Config, **_GEMMA2), ARCH.GEMMA2, metadata=_gemma2, convert=with_one),
    Tiny("gemma2-scale", _of(Gemma2Config, **(_GEMMA2 | {"query_pre_attn_scalar": 40})), None),
    Tiny("granite", _of(GraniteConfig, **_GRANITE), ARCH.GRANITE, metadata=_granite),
    Tiny("smollm3", _of(SmolLM3Config, pad_token_id=None), ARCH.SMOLLM3),
    Tiny(
        "smollm3-listed",
        _of(SmolLM3Config, pad_token_id=None, no_rope_layers=[0, 1, 1, 0], use_sliding_window=True, **_WINDOWED),
        None,
    ),
    Tiny(
        "phi3", _of(Phi3Config, pad_token_id=None, **_WINDOWED), ARCH.PHI3, metadata=_phi3, convert=as_they_are
    ),
    Tiny(
        "phi3-long",
        _of(
            Phi3Config, pad_token_id=None, num_attention_heads=2, num_key_value_heads=1,
            original_max_position_embeddings=12, rope_parameters=_LONGROPE,
        ),
        ARCH.PHI3,
        metadata=_phi3,
        convert=as_they_are,
        extra=_phi3_factors,
    ),
    Tiny(
        "phi3-short",
        _of(
            Phi3Config, pad_token_id=None, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128,
            original_max_position_embeddings=64, rope_parameters=_LONGROPE,
        ),
        ARCH.PHI3,
        metadata=_phi3,
        convert=as_they_are,
        extra=_phi3_factors,
    ),
    Tiny(
        "gpt2",
        lambda: GPT2Config(**_GPT2, bos_token_id=None, eos_token_id=None),
        ARCH.GPT2,
        metadata=_gpt2,
        convert=as_they_are,
        transposed=("c_attn.weight", "c_proj.weight", "c_fc.weight"),
    ),
    Tiny(
        "gemma3-in-a-wrapper",
        lambda: Gemma3Config(text_config=_of(Gemma3TextConfig, **_GEMMA3)(), vision_config=_SIGLIP),
        None,
        auto=AutoModelForImageTextToText,
    ),
    Tiny(
        "mistral-in-a-wrapper",
        lambda: Mistral3Config(
            text_config=_of(MistralConfig, head_dim=16, sliding_window=None)(),
            vision_config=_PIXTRAL,
            tie_word_embeddings=False,
        ),
        None,
        auto=AutoModelForImageTextToText,
    ),
    Tiny(
        "gemma4-in-a-wrapper",
        lambda: Gemma4Config(
            text_config=_of(
                Gemma4TextConfig, vocab_size_per_layer_input=96, hidden_size_per_layer_input=32, **GEMMA4
            )(),
            vision_config=None,
            audio_config=None,
        ),
        None,
        auto=AutoModelForImageTextToText,
    ),
    Tiny(
        "granite4-dense",
        _of(
            GraniteMoeHybridConfig, shared_intermediate_size=64, num_local_experts=0, layer_types=["attention"] * 4,
            position_embedding_type="rope", mamba_n_heads=8, mamba_d_head=8, **_GRANITE,
        ),
        ARCH.GRANITE,
        metadata=_granite4,
        convert=_split_shared_mlp,
    ),
    Tiny(
        "granite4-nope",
        _of(
            GraniteMoeHybridConfig, shared_intermediate_size=64, num_local_experts=0, layer_types=["attention"] * 4,
            mamba_n_heads=8, mamba_d_head=8, **_GRANITE,
        ),
        ARCH.GRANITE,
        metadata=_granite4,
        convert=_split_shared_mlp,
    ),
    Tiny(
        "gemma4-small",
        _of(
            Gemma4TextConfig, vocab_size_per_layer_input=96, hidden_size_per_layer_input=32, use_double_wide_mlp=True,
            num_kv_shared_layers=3, **GEMMA4,
        ),
        ARCH.GEMMA4,
        metadata=gemma4_metadata,
        convert=_gemma4_names,
        extra=gemma4_divisors,
        prepare=gemma4_scalars,
    ),
    Tiny(
        "gemma4-large",
        _of(
            Gemma4TextConfig, vocab_size_per_layer_input=96, hidden_size_per_layer_input=0, attention_k_eq_v=True,
            num_global_key_value_heads=1, **GEMMA4,
        ),
        ARCH.GEMMA4,
        metadata=gemma4_metadata,
        convert=_gemma4_names,
        extra=gemma4_divisors,
        prepare=gemma4_scalars,
    ),
)  # fmt: skip
