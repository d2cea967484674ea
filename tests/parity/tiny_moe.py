"""Rows of the parity table for mixtures of experts, and how llama.cpp's converter would write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tiny_dense
import torch
from tiny_row import BASE, Tiny, head_dim, interleaved, toy_vocabulary
from torch import Tensor
from transformers import (
    AutoModelForImageTextToText,
    Gemma4TextConfig,
    GptOssConfig,
    GraniteMoeConfig,
    GraniteMoeSharedConfig,
    Llama4Config,
    Llama4TextConfig,
    MixtralConfig,
    PreTrainedConfig,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)

F32 = gguf.GGMLQuantizationType.F32
Parts = Iterable[tuple[str, np.ndarray]]

_BASE = BASE | {"max_position_embeddings": 64, "num_experts_per_tok": 2}


@dataclass(frozen=True)
class Written:
    """How a family's GGUF files are made."""

    arch: gguf.MODEL_ARCH
    describe: Callable[[gguf.GGUFWriter, Any], None]
    """Adds what is special to the family's metadata."""
    convert: Callable[[str, np.ndarray, Any], Parts]
    """From a name in transformers' memory and its values to what a file holds of them. Values are only moved."""
    extra: Callable[[Any], dict[str, np.ndarray]] = lambda config: {}
    """Tensors that only the file has."""

    def __call__(self, model: Any, path: Path, stored: gguf.GGMLQuantizationType | None) -> dict[str, Tensor]:
        """Write a model. Returns its state as it is after rounding to `stored`."""
        config = model.config
        writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[self.arch])
        _common_metadata(writer, config)
        self.describe(writer, config)
        toy_vocabulary(writer, config.vocab_size)
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        for name, tensor in state.items():
            if name == "lm_head.weight" and config.tie_word_embeddings:
                continue
            values = tensor.numpy()
            places = np.arange(values.size).reshape(values.shape)
            for (theirs, part), (_, place) in zip(
                self._parts(name, values, config), self._parts(name, places, config), strict=True
            ):
                matrix = part.ndim > 1 and not theirs.endswith("bias") and "ffn_gate_inp" not in theirs
                kind = stored if stored is not None and matrix else F32
                data = gguf.quants.quantize(np.ascontiguousarray(part), kind)
                writer.add_tensor(theirs, data, raw_dtype=kind)
                rounded = torch.from_numpy(gguf.quants.dequantize(data, kind).astype(np.float32))
                tensor.view(-1)[torch.from_numpy(place.flatten())] = rounded.flatten()
        for name, values in self.extra(config).items():
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if config.tie_word_embeddings:
            state["lm_head.weight"] = state["model.embed_tokens.weight"]
        return state

    def _parts(self, name: str, values: np.ndarray, config: Any) -> Parts:
        known = gguf.get_tensor_name_map(self.arch, config.num_hidden_layers)
        parts = list(self.convert(name, values, config))
        return [(known.get_name(ours, (".weight", ".bias")) or ours, part) for ours, part in parts]


def _common_metadata(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size_mlp", config.intermediate_size))
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_expert_count(getattr(config, "num_local_experts", None) or config.num_experts)
    writer.add_expert_used_count(getattr(config, "top_k_experts", None) or config.num_experts_per_tok)
    rope = config.rope_parameters
    if "rope_theta" not in rope:
        return  # by kinds of layers: the family's business
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head_dim(config))
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def _block(name: str) -> str:
    """The number in `model.layers.N.…`; nothing outside of blocks."""
    return name.removeprefix("model.layers.").partition(".")[0]


def _in_halves(name: str, values: np.ndarray) -> Parts:
    """Gates come first, then ups."""
    block = _block(name)
    if name.endswith("experts.gate_up_proj"):
        gate, up = np.split(values, 2, axis=1)
        return [(f"blk.{block}.ffn_gate_exps.weight", gate), (f"blk.{block}.ffn_up_exps.weight", up)]
    if name.endswith("experts.down_proj"):
        return [(f"blk.{block}.ffn_down_exps.weight", values)]
    return [(name, values)]


def _nothing(writer: gguf.GGUFWriter, config: Any) -> None:
    """No keys of its own."""


# --- Mixtral ---


def _mixtral(**changes: Any) -> Callable[[], PreTrainedConfig]:
    return lambda: MixtralConfig(**(_BASE | {"num_local_experts": 6} | changes))


def _convert_mixtral(name: str, values: np.ndarray, config: Any) -> Parts:
    return _in_halves(name, interleaved(name, values, config))


def _one_tensor_per_expert(name: str, values: np.ndarray, config: Any) -> Parts:
    """As files were before experts were stacked."""
    for theirs, part in _convert_mixtral(name, values, config):
        if "_exps" not in theirs:
            yield theirs, part
            continue
        for expert, matrix in enumerate(part):
            yield theirs.replace("_exps", "").replace(".weight", f".{expert}.weight"), matrix


def _gate_with_up(name: str, values: np.ndarray, config: Any) -> Parts:
    """As the converter writes when asked to fuse."""
    if name.endswith("experts.gate_up_proj"):
        return [(f"blk.{name.split('.')[2]}.ffn_gate_up_exps.weight", values)]
    return _convert_mixtral(name, values, config)


# --- Qwen ---


def _qwen2_moe(**changes: Any) -> Callable[[], PreTrainedConfig]:
    own = {"num_experts": 6, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 64}
    return lambda: Qwen2MoeConfig(**(_BASE | own | changes))


def _describe_qwen(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if hasattr(config, "shared_expert_intermediate_size"):
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)


def _convert_qwen(name: str, values: np.ndarray, config: Any) -> Parts:
    if name.endswith("shared_expert_gate.weight"):
        return [(name, values.squeeze(0))]
    return _in_halves(name, values)


def _qwen3_moe(**changes: Any) -> Callable[[], PreTrainedConfig]:
    own = {"num_experts": 6, "moe_intermediate_size": 32, "head_dim": 16, "norm_topk_prob": True}
    return lambda: Qwen3MoeConfig(**(_BASE | own | changes))


# --- gpt-oss ---


_YARN = {
    "rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 64,
    "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
}  # fmt: skip


def _gpt_oss(**changes: Any) -> Callable[[], PreTrainedConfig]:
    own = {"num_local_experts": 6, "head_dim": 16, "sliding_window": 8, "rope_parameters": _YARN}
    return lambda: GptOssConfig(**(_BASE | own | {"max_position_embeddings": 256} | changes))


def expert_biases(model: Any) -> None:
    """They are matrices that start at zero; some are large enough for the clamp to matter."""
    for name, parameter in model.named_parameters():
        if name.endswith("proj_bias"):
            parameter.copy_(torch.randn_like(parameter) * (5.0 if "gate_up" in name else 0.5))


def _describe_gpt_oss(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_sliding_window(config.sliding_window)
    writer.add_expert_feed_forward_length(config.intermediate_size)


def _convert_gpt_oss(name: str, values: np.ndarray, config: Any) -> Parts:
    block, part = _block(name), name.rpartition(".")[2]
    if name.endswith("post_attention_layernorm.weight"):
        return [(f"blk.{block}.post_attention_norm.weight", values)]
    if name.endswith("sinks"):
        return [(f"blk.{block}.attn_sinks.weight", values)]
    if ".experts." not in name:
        return [(name, values)]
    kind = "bias" if part.endswith("_bias") else "weight"
    turned = values if kind == "bias" else values.swapaxes(1, 2)
    if part.startswith("down"):
        return [(f"blk.{block}.ffn_down_exps.{kind}", turned)]
    return [(f"blk.{block}.ffn_gate_exps.{kind}", turned[:, ::2]), (f"blk.{block}.ffn_up_exps.{kind}", turned[:, 1::2])]


# --- Granite ---

_MULTIPLIERS = {
    "attention_multiplier": 0.2,
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.4,
    "logits_scaling": 2.0,
}


def _granite(make: Any, **changes: Any) -> Callable[[], PreTrainedConfig]:
    return lambda: make(**(_BASE | {"num_local_experts": 6} | _MULTIPLIERS | changes))


def _describe_granite(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_attention_scale(config.attention_multiplier)
    writer.add_embedding_scale(config.embedding_multiplier)
    writer.add_residual_scale(config.residual_multiplier)
    writer.add_logit_scale(config.logits_scaling)
    if getattr(config, "shared_intermediate_size", 0):
        writer.add_expert_shared_feed_forward_length(config.shared_intermediate_size)


def _convert_granite(name: str, values: np.ndarray, config: Any) -> Parts:
    block = f"blk.{_block(name)}"
    if name.endswith("router.weight"):
        return [(f"{block}.ffn_gate_inp.weight", values)]
    if name.endswith("shared_mlp.output_linear.weight"):
        return [(f"{block}.ffn_down_shexp.weight", values)]
    if name.endswith("shared_mlp.input_linear.weight"):
        gate, up = np.split(values, 2)
        return [(f"{block}.ffn_gate_shexp.weight", gate), (f"{block}.ffn_up_shexp.weight", up)]
    return _in_halves(name, interleaved(name, values, config))


# --- Llama 4 ---

_LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e3, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def _llama4(**changes: Any) -> Callable[[], PreTrainedConfig]:
    own = {
        "num_local_experts": 6,
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 2,
        "intermediate_size_mlp": 96,
        "head_dim": 16,
        "no_rope_layer_interval": 3,
        "num_hidden_layers": 6,
    }
    return lambda: Llama4TextConfig(**(_BASE | own | changes))


_VISION = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vision_output_dim": 16,
    "image_size": 28,
    "projector_input_dim": 16,
    "projector_output_dim": 16,
}


def _text_alone(model: Any) -> None:
    """The wrapper of transformers 5.24 wants a field of its text model's result that this one hasn't."""
    model.forward = model.language_model.forward


def _describe_llama4(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_expert_feed_forward_length(config.intermediate_size)
    writer.add_interleave_moe_layer_step(config.interleave_moe_layer_step)


def _convert_llama4(name: str, values: np.ndarray, config: Any) -> Parts:
    if ".feed_forward.experts." in name:
        return _in_halves(name, values.swapaxes(1, 2))
    return [(name, values)]


# --- Gemma 4 ---


def _gemma4() -> PreTrainedConfig:
    settings: Any = BASE | {"max_position_embeddings": 64} | tiny_dense.GEMMA4
    return Gemma4TextConfig(
        enable_moe_block=True,
        num_experts=6,
        top_k_experts=2,
        moe_intermediate_size=32,
        vocab_size_per_layer_input=96,
        hidden_size_per_layer_input=0,
        **deepcopy(settings),
    )


def _describe_gemma4(writer: gguf.GGUFWriter, config: Any) -> None:
    tiny_dense.gemma4_metadata(writer, config)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)


def _convert_gemma4(name: str, values: np.ndarray, config: Any) -> Parts:
    block = f"blk.{_block(name)}"
    own = {
        "router.scale": "ffn_gate_inp.scale",
        "router.per_expert_scale": "ffn_down_exps.scale",
        "router.proj.weight": "ffn_gate_inp.weight",
        "experts.gate_up_proj": "ffn_gate_up_exps.weight",
        "experts.down_proj": "ffn_down_exps.weight",
        "layer_scalar": "layer_output_scale.weight",
        "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight",
        "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
        "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
    }
    return [(next((f"{block}.{theirs}" for ours, theirs in own.items() if name.endswith(ours)), name), values)]


_ARCH = gguf.MODEL_ARCH
_QWEN2, _QWEN3 = (Written(a, _describe_qwen, _convert_qwen) for a in (_ARCH.QWEN2MOE, _ARCH.QWEN3MOE))

_GRANITE = Written(_ARCH.GRANITE_MOE, _describe_granite, _convert_granite)


def _as_llama(convert: Callable[[str, np.ndarray, Any], Parts]) -> Written:
    return Written(_ARCH.LLAMA, _nothing, convert)


MOE: tuple[Tiny, ...] = (
    Tiny("mixtral", _mixtral(), _ARCH.LLAMA, written=_as_llama(_convert_mixtral)),
    Tiny(
        "mixtral-legacy-gguf",
        _mixtral(num_experts_per_tok=3),
        _ARCH.LLAMA,
        written=_as_llama(_one_tensor_per_expert),
    ),
    Tiny("mixtral-fused-gguf", _mixtral(tie_word_embeddings=True), _ARCH.LLAMA, written=_as_llama(_gate_with_up)),
    Tiny("mixtral-window", _mixtral(sliding_window=8), None),
    Tiny("qwen2-moe", _qwen2_moe(), _ARCH.QWEN2MOE, written=_QWEN2),
    Tiny("qwen2-moe-some-dense", _qwen2_moe(decoder_sparse_step=2, norm_topk_prob=True), None),
    Tiny("qwen3-moe", _qwen3_moe(), _ARCH.QWEN3MOE, written=_QWEN3),
    Tiny("qwen3-moe-some-dense", _qwen3_moe(mlp_only_layers=[1], norm_topk_prob=False, attention_bias=True), None),
    Tiny(
        "gpt-oss",
        _gpt_oss(),
        _ARCH.GPT_OSS,
        written=Written(_ARCH.GPT_OSS, _describe_gpt_oss, _convert_gpt_oss),
        prepare=expert_biases,
    ),
    Tiny("granite-moe", _granite(GraniteMoeConfig), _ARCH.GRANITE_MOE, written=_GRANITE),
    Tiny(
        "granite-moe-shared",
        _granite(GraniteMoeSharedConfig, shared_intermediate_size=32, attention_bias=True),
        _ARCH.GRANITE_MOE,
        written=_GRANITE,
    ),
    Tiny("llama4", _llama4(attention_chunk_size=8, floor_scale=8, num_experts_per_tok=2), None),
    Tiny(
        "llama4-in-a-wrapper",
        lambda: Llama4Config(text_config=_llama4(attention_chunk_size=8)(), vision_config=_VISION),
        None,
        auto=AutoModelForImageTextToText,
        prepare=_text_alone,
    ),
    Tiny(
        "llama4-scaling-no-norm",
        _llama4(
            attention_chunk_size=None,
            floor_scale=4,
            use_qk_norm=False,
            attention_bias=True,
            rope_parameters=_LLAMA3 | {"original_max_position_embeddings": 32},
        ),
        None,
    ),
    Tiny(
        "llama4-constants-of-gguf",
        _llama4(no_rope_layer_interval=4),
        _ARCH.LLAMA4,
        written=Written(_ARCH.LLAMA4, _describe_llama4, _convert_llama4),
    ),
    Tiny(
        "gemma4-experts",
        _gemma4,
        _ARCH.GEMMA4,
        written=Written(_ARCH.GEMMA4, _describe_gemma4, _convert_gemma4, tiny_dense.gemma4_divisors),
        prepare=tiny_dense.gemma4_scalars,
    ),
)
