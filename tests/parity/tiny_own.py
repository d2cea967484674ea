"""Rows of the parity table for families with modules of their own: latent attention, state spaces, delta rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tiny_row import Tiny, interleaved, toy_vocabulary
from torch import Tensor
from transformers import (
    DeepseekV3Config,
    GraniteMoeHybridConfig,
    Mistral4Config,
    Mistral4ForCausalLM,
    PreTrainedConfig,
    Qwen3_5MoeTextConfig,
    Qwen3_5TextConfig,
    Qwen3NextConfig,
)

Q8_0, F32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32
Parts = Iterable[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Written:
    """How a family's GGUF files are made."""

    describe: Callable[[gguf.GGUFWriter, Any], None]
    """Adds what is special to the family's metadata."""
    convert: Callable[[str, np.ndarray, Any], Parts]
    """From a Hugging Face name and its values to what a file holds of them. Values are moved, or changed if 1-D."""


def write(
    arch: gguf.MODEL_ARCH, written: Written, model: Any, path: Path, stored: gguf.GGMLQuantizationType | None
) -> dict[str, Tensor]:
    """Write a model as llama.cpp's converter would. Returns its state as it is after rounding to `stored`."""
    config = model.config
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    toy_vocabulary(writer, config.vocab_size)
    written.describe(writer, config)
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        state[name] = tensor.clone()
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.numpy()
        origins = written.convert(name, np.arange(values.size, dtype=np.float64).reshape(values.shape), config)
        for (theirs, moved), (_, origin) in zip(written.convert(name, values, config), origins, strict=True):
            part = np.ascontiguousarray(moved)
            kind = F32 if stored is None or part.ndim < 2 or part.shape[-1] % 32 else stored
            data = gguf.quants.quantize(part, kind)
            writer.add_tensor(theirs, data, raw_dtype=kind)
            if kind != F32:
                rounded = torch.from_numpy(gguf.quants.dequantize(data, kind).copy())
                state[name].view(-1)[torch.from_numpy(origin.astype(np.int64)).flatten()] = rounded.flatten()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def _named(arch: gguf.MODEL_ARCH, name: str, values: np.ndarray, config: Any) -> Parts:
    theirs = gguf.get_tensor_name_map(arch, config.num_hidden_layers).get_name(name, (".weight", ".bias"))
    assert theirs is not None, name
    yield theirs, values


# --- latent attention ---

_MLA = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 4, "kv_lora_rank": 32, "q_lora_rank": 32, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
    "v_head_dim": 16, "max_position_embeddings": 64, "first_k_dense_replace": 4,
}  # fmt: skip
_YARN = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16,
    "mscale": 1.0, "mscale_all_dim": 1.0,
}  # fmt: skip


def _deepseek(**changes: Any) -> Callable[[], PreTrainedConfig]:
    return lambda: DeepseekV3Config(**(_MLA | changes))


def _describe_mla(
    writer: gguf.GGUFWriter,
    config: Any,
    *,
    legacy: bool = False,
    gating: gguf.ExpertGatingFuncType | None = gguf.ExpertGatingFuncType.SIGMOID,
) -> None:
    width = config.qk_nope_head_dim + config.qk_rope_head_dim
    writer.add_head_count_kv(config.num_attention_heads if legacy else 1)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_leading_dense_block_count(config.first_k_dense_replace)
    writer.add_expert_count(config.n_routed_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    writer.add_expert_weights_norm(config.norm_topk_prob)
    if gating is not None:
        writer.add_expert_gating_func(gating)
    writer.add_expert_group_count(config.n_group)
    writer.add_expert_group_used_count(config.topk_group)
    if config.q_lora_rank:
        writer.add_q_lora_rank(config.q_lora_rank)
    writer.add_kv_lora_rank(config.kv_lora_rank)
    if legacy:
        writer.add_key_length(width)
        writer.add_value_length(config.v_head_dim)
    else:
        writer.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
        writer.add_value_length(config.kv_lora_rank)
        writer.add_key_length_mla(width)
        writer.add_value_length_mla(config.v_head_dim)
    rope = config.rope_parameters
    writer.add_rope_dimension_count(config.qk_rope_head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])


def _convert_mla(name: str, values: np.ndarray, config: Any) -> Parts:
    if "kv_b_proj" not in name:
        return _convert_legacy(name, values, config)
    heads = values.reshape(config.num_attention_heads, -1, config.kv_lora_rank)
    block = name.split(".")[2]
    keys, values = np.split(heads, [config.qk_nope_head_dim], axis=1)
    return [(f"blk.{block}.attn_k_b.weight", keys.swapaxes(1, 2)), (f"blk.{block}.attn_v_b.weight", values)]


def _mistral4(**changes: Any) -> Callable[[], PreTrainedConfig]:
    return lambda: Mistral4Config(**(_MLA | changes))


class _Mistral4:
    """transformers' own maker doesn't know this text model by itself."""

    @staticmethod
    def from_config(config: PreTrainedConfig, **options: Any) -> Any:
        return Mistral4ForCausalLM._from_config(config, **options)


def _describe_softmax(writer: gguf.GGUFWriter, config: Any) -> None:
    """The converter says nothing of how scores are made, nor of the temperature."""
    _describe_mla(writer, config, gating=None)


def _convert_joined(name: str, values: np.ndarray, config: Any) -> Parts:
    """Gate and up stay one tensor."""
    if name.endswith("gate_up_proj"):
        return [(f"blk.{name.split('.')[2]}.ffn_gate_up_exps.weight", values)]
    return _convert_mla(name, values, config)


_SOFTMAX = Written(_describe_softmax, _convert_joined)


def _describe_legacy(writer: gguf.GGUFWriter, config: Any) -> None:
    _describe_mla(writer, config, legacy=True)


def _convert_legacy(name: str, values: np.ndarray, config: Any) -> Parts:
    if name.endswith("gate_up_proj"):
        gate, up = np.split(values, 2, axis=1)
        block = name.split(".")[2]
        return [(f"blk.{block}.ffn_gate_exps.weight", gate), (f"blk.{block}.ffn_up_exps.weight", up)]
    theirs = {
        "experts.down_proj": "experts.down_proj.weight",
        "gate.e_score_correction_bias": "gate.e_score_correction.bias",
    }
    for ours, converted in theirs.items():
        if name.endswith(ours):
            return _named(gguf.MODEL_ARCH.DEEPSEEK2, name.removesuffix(ours) + converted, values, config)
    return _named(gguf.MODEL_ARCH.DEEPSEEK2, name, values, config)


_DEEPSEEK2 = gguf.MODEL_ARCH.DEEPSEEK2
_SPLIT, _LEGACY = Written(_describe_mla, _convert_mla), Written(_describe_legacy, _convert_legacy)


# --- state spaces ---

_GRANITE = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "mamba_n_heads": 8, "mamba_d_head": 8,
    "mamba_d_state": 16, "mamba_n_groups": 2, "shared_intermediate_size": 64, "embedding_multiplier": 6.0,
    "residual_multiplier": 0.7, "logits_scaling": 3.0, "attention_multiplier": 0.2, "num_experts_per_tok": 2,
    "layer_types": ["mamba", "mamba", "attention", "mamba"],
}  # fmt: skip


def _granite(**changes: Any) -> Callable[[], PreTrainedConfig]:
    return lambda: GraniteMoeHybridConfig(**(_GRANITE | changes))


def _is_attention(kind: str) -> bool:
    return "mamba" not in kind and "linear" not in kind


def _describe_granite(writer: gguf.GGUFWriter, config: Any) -> None:
    experts = config.num_local_experts
    writer.add_feed_forward_length(config.intermediate_size if experts else config.shared_intermediate_size)
    writer.add_head_count_kv([config.num_key_value_heads * _is_attention(kind) for kind in config.layer_types])
    writer.add_attention_scale(config.attention_multiplier)
    writer.add_embedding_scale(config.embedding_multiplier)
    writer.add_residual_scale(config.residual_multiplier)
    writer.add_logit_scale(config.logits_scaling)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(config.num_experts_per_tok if experts else 0)
    writer.add_expert_shared_feed_forward_length(config.shared_intermediate_size)
    writer.add_ssm_conv_kernel(config.mamba_d_conv)
    writer.add_ssm_state_size(config.mamba_d_state)
    writer.add_ssm_group_count(config.mamba_n_groups)
    writer.add_ssm_inner_size(config.mamba_expand * config.hidden_size)
    writer.add_ssm_time_step_rank(config.mamba_n_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_scaling_finetuned(config.position_embedding_type == "rope")


def _convert_granite(name: str, values: np.ndarray, config: Any) -> Parts:
    block = f"blk.{name.split('.')[2]}" if ".layers." in name else ""
    if name.endswith("A_log"):
        return [(f"{block}.ssm_a", -np.exp(values)[:, None])]
    if name.endswith("mamba.D"):
        return [(f"{block}.ssm_d", values[:, None])]
    if name.endswith("dt_bias"):
        return [(f"{block}.ssm_dt.bias", values)]
    if name.endswith("conv1d.weight"):
        return [(f"{block}.ssm_conv1d.weight", values.squeeze(1))]
    if name.endswith("mamba.norm.weight"):
        return [(f"{block}.ssm_norm.weight", values.reshape(config.mamba_n_groups, -1))]
    if name.endswith("router.weight"):
        return [(f"{block}.ffn_gate_inp.weight", values)]
    if name.endswith("experts.down_proj"):
        return [(f"{block}.ffn_down_exps.weight", values)]
    if name.endswith("experts.gate_up_proj"):
        gate, up = np.split(values, 2, axis=1)
        return [(f"{block}.ffn_gate_exps.weight", gate), (f"{block}.ffn_up_exps.weight", up)]
    if "shared_mlp" in name:
        kind = "_shexp" if config.num_local_experts else ""
        if "output" in name:
            return [(f"{block}.ffn_down{kind}.weight", values)]
        gate, up = np.split(values, 2)
        return [(f"{block}.ffn_gate{kind}.weight", gate), (f"{block}.ffn_up{kind}.weight", up)]
    return _named(gguf.MODEL_ARCH.GRANITE_HYBRID, name, interleaved(name, values, config), config)


_HYBRID = Written(_describe_granite, _convert_granite)


# --- delta rule ---

_QWEN = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
}  # fmt: skip
_QWEN_EXPERTS = {
    "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
}  # fmt: skip


def _qwen(kind: type[PreTrainedConfig], **changes: Any) -> Callable[[], PreTrainedConfig]:
    settings = {key: value for key, value in (_QWEN | changes).items() if value is not None}
    return lambda: kind(**settings)


def _describe_qwen(writer: gguf.GGUFWriter, config: Any) -> None:
    rope = config.rope_parameters
    if hasattr(config, "intermediate_size"):
        writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(config.head_dim * rope["partial_rotary_factor"]))
    writer.add_rope_dimension_sections([1, 1, 0, 0])
    writer.add_ssm_conv_kernel(config.linear_conv_kernel_dim)
    writer.add_ssm_state_size(config.linear_key_head_dim)
    writer.add_ssm_group_count(config.linear_num_key_heads)
    writer.add_ssm_time_step_rank(config.linear_num_value_heads)
    writer.add_ssm_inner_size(config.linear_value_head_dim * config.linear_num_value_heads)
    if config.layer_types[3] == "full_attention":
        writer.add_full_attention_interval(4)
    else:
        recurrent = [kind == "linear_attention" for kind in config.layer_types]
        writer.add_array(f"{writer.arch}.attention.recurrent_layers", recurrent)
    if hasattr(config, "num_experts"):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)


def _convert_next(name: str, values: np.ndarray, config: Any) -> Parts:
    """Names and changes that all of these share; projections as Qwen3-Next has them."""
    block = f"blk.{name.split('.')[2]}" if ".layers." in name else ""
    if name.endswith("A_log"):
        return [(f"{block}.ssm_a", -np.exp(values))]
    if name.endswith("dt_bias"):
        return [(f"{block}.ssm_dt.bias", values)]
    if name.endswith("conv1d.weight"):
        return [(f"{block}.ssm_conv1d.weight", values.squeeze(1))]
    if name.endswith("shared_expert_gate.weight"):
        return [(f"{block}.ffn_gate_inp_shexp.weight", values.squeeze(0))]
    if name.endswith("experts.down_proj"):
        return [(f"{block}.ffn_down_exps.weight", values)]
    if name.endswith("experts.gate_up_proj"):
        gate, up = np.split(values, 2, axis=1)
        return [(f"{block}.ffn_gate_exps.weight", gate), (f"{block}.ffn_up_exps.weight", up)]
    if name.endswith("in_proj_qkvz.weight"):
        heads, share = config.linear_num_key_heads, config.linear_num_value_heads // config.linear_num_key_heads
        key, width = config.linear_key_head_dim, share * config.linear_value_head_dim
        by_head = values.reshape(heads, -1, values.shape[1])
        q, k, v, z = (
            part.reshape(-1, values.shape[1]) for part in np.split(by_head, [key, 2 * key, 2 * key + width], axis=1)
        )
        return [(f"{block}.attn_qkv.weight", np.concatenate([q, k, v])), (f"{block}.attn_gate.weight", z)]
    if name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
        values = values + np.float32(1)
    arch = gguf.MODEL_ARCH.QWEN3NEXT if hasattr(config, "num_experts") else gguf.MODEL_ARCH.QWEN35
    return _named(arch, name, values, config)


def _convert_tiled(name: str, values: np.ndarray, config: Any) -> Parts:
    """Qwen3.5: value heads change places, so that those of one key head are no neighbours."""
    heads, width = config.linear_num_key_heads, config.linear_value_head_dim
    keys = 2 * heads * config.linear_key_head_dim

    def tiled(rows: np.ndarray, size: int) -> np.ndarray:
        grouped = rows.reshape(heads, -1, size, *rows.shape[1:])
        return grouped.swapaxes(0, 1).reshape(rows.shape)

    if "in_proj_qkv" in name or "conv1d" in name:
        values = np.concatenate([values[:keys], tiled(values[keys:], width)])
    elif "in_proj_z" in name:
        values = tiled(values, width)
    elif "linear_attn.out_proj" in name:
        values = np.ascontiguousarray(tiled(values.T, width).T)
    elif any(part in name for part in ("in_proj_a", "in_proj_b", "A_log", "dt_bias")):
        values = tiled(values, 1)
    special = {"in_proj_qkv.weight": "attn_qkv", "in_proj_z.weight": "attn_gate", "in_proj_b.weight": "ssm_beta"}
    for ours, theirs in (special | {"in_proj_a.weight": "ssm_alpha"}).items():
        if name.endswith(ours):
            return [(f"blk.{name.split('.')[2]}.{theirs}.weight", values)]
    return _convert_next(name, values, config)


_NEXT, _TILED = Written(_describe_qwen, _convert_next), Written(_describe_qwen, _convert_tiled)


def _moves(model: Any) -> None:
    """Corrections of the choice of experts are no parameters."""
    for name, buffer in model.named_buffers():
        if name.endswith("correction_bias"):
            buffer.add_(torch.randn_like(buffer) * 0.3)


def _calmer(model: Any) -> None:
    """With matrices as large as elsewhere, the reference's own float32 is 1e-4 from its float64 after 40 tokens."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.mul_(0.5)


def _row(
    name: str,
    config: Callable[[], PreTrainedConfig],
    arch: gguf.MODEL_ARCH,
    written: Written,
    prepare: Callable[[Any], None] = _moves,
) -> Tiny:
    return Tiny(name, config, arch, written=partial(write, arch, written), prepare=prepare)


OWN: tuple[Tiny, ...] = (
    _row("mla", _deepseek(), _DEEPSEEK2, _SPLIT),
    _row("mla-yarn-legacy-gguf", _deepseek(rope_parameters=_YARN), _DEEPSEEK2, _LEGACY),
    _row("mla-biases", _deepseek(attention_bias=True, tie_word_embeddings=True), _DEEPSEEK2, _SPLIT),
    _row(
        "deepseek3",
        _deepseek(
            first_k_dense_replace=1,
            num_experts_per_tok=3,
            n_routed_experts=12,
            n_group=4,
            topk_group=2,
            moe_intermediate_size=32,
            n_shared_experts=2,
            num_hidden_layers=3,
            rope_parameters=_YARN,
        ),
        _DEEPSEEK2,
        _SPLIT,
    ),
    replace(
        _row(
            "mistral4",
            _mistral4(
                first_k_dense_replace=1,
                num_experts_per_tok=3,
                n_routed_experts=12,
                n_group=4,
                topk_group=2,
                moe_intermediate_size=32,
                num_hidden_layers=3,
                rope_parameters=_YARN | {"llama_4_scaling_beta": 0.1},
            ),
            gguf.MODEL_ARCH.MISTRAL4,
            _SOFTMAX,
        ),
        auto=_Mistral4,
    ),
    _row("granite4-hybrid", _granite(num_local_experts=0), gguf.MODEL_ARCH.GRANITE_HYBRID, _HYBRID),
    _row(
        "granite4-hybrid-experts",
        _granite(num_local_experts=4, position_embedding_type="rope", mamba_conv_bias=False, mamba_proj_bias=True),
        gguf.MODEL_ARCH.GRANITE_HYBRID,
        _HYBRID,
    ),
    _row("qwen3-next", _qwen(Qwen3NextConfig, **_QWEN_EXPERTS), gguf.MODEL_ARCH.QWEN3NEXT, _NEXT, _calmer),
    _row("qwen3.5", _qwen(Qwen3_5TextConfig, tie_word_embeddings=True), gguf.MODEL_ARCH.QWEN35, _TILED, _calmer),
    _row(
        "qwen3.5-experts",
        _qwen(
            Qwen3_5MoeTextConfig,
            intermediate_size=None,
            attention_bias=True,
            linear_num_key_heads=4,
            layer_types=["full_attention", *["linear_attention"] * 3],
            **_QWEN_EXPERTS,
        ),
        gguf.MODEL_ARCH.QWEN35MOE,
        _TILED,
        _calmer,
    ),
    _row("mla-direct-queries", _deepseek(q_lora_rank=None, qk_nope_head_dim=32), _DEEPSEEK2, _SPLIT),
)
