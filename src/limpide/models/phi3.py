"""Phi-3 and Phi-4: Llama with stacked projections, LongRoPE, and rope on a part of the head in the small Phi-4."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.rope_config import (
    ROPE_DIVISORS,
    ROPE_LONG,
    ROPE_SHORT,
    gguf_longrope,
    gguf_scaling,
    hf_rope,
)
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec
from limpide.models.transforms import Rows

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=4096, eps=1e-5)
    original = config.integer("original_max_position_embeddings", 4096)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context, original=original, partial=True)
    config.only("hidden_act", ("silu",), "silu")
    config.only("attention_bias", (False,), "false")
    config.only("mlp_bias", (False,), "false")
    config.only("lm_head_bias", (False,), "false")
    config.only("full_attn_mod", (1,), "1 (every layer alike)")
    config.only("interpolate_factor", (1,), "1")
    dims = int(sizes.head_dim * _hf_rotary_part(config))
    return _spec(sizes, RopeSpec(theta, dims, scaling=scaling), config.integer("sliding_window", None))


def _hf_rotary_part(config: ConfigReader) -> float:
    part = config.positive("partial_rotary_factor", 1.0)
    settings = config.child("rope_parameters") or config.child("rope_scaling")
    if settings is not None:
        part = settings.positive("partial_rotary_factor", part)
    if part > 1:
        raise config.refusal("partial_rotary_factor", part, "at most 1")
    return part


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint, whole_head_rope=False)
    scaling = gguf_longrope(config, checkpoint, context=sizes.context)
    rope = RopeSpec(
        config.number("rope.freq_base", _THETA),
        config.integer("rope.dimension_count", sizes.head_dim),
        scaling=scaling or gguf_scaling(config, checkpoint, context=sizes.context),
    )
    return _spec(sizes, rope, config.integer("attention.sliding_window", 0) or None)


def _spec(sizes: Sizes, rope: RopeSpec, window: int | None) -> ModelSpec:
    norm = NormSpec(sizes.eps)
    attention = replace(sizes.attention(rope), mask=MaskSpec() if window is None else MaskSpec("window", window))
    block = BlockSpec(attention, MLPSpec(sizes.width), norm)
    return sizes.model("phi3", (block,) * sizes.layers, norm)


def _stacked(ours: str, hf: str, gguf: str, part: Rows) -> tuple[TensorName, ...]:
    return module(ours, f"model.layers.{{b}}.{hf}", f"blk.{{b}}.{gguf}", hf_transform=part, gguf_transform=part)


FAMILY = Family(
    name="phi3",
    gguf_architectures=("phi3",),
    hf_model_types=("phi3",),
    hf_architectures=("Phi3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *_stacked("blocks.{b}.attn.q", "self_attn.qkv_proj", "attn_qkv", Rows("q")),
        *_stacked("blocks.{b}.attn.k", "self_attn.qkv_proj", "attn_qkv", Rows("k")),
        *_stacked("blocks.{b}.attn.v", "self_attn.qkv_proj", "attn_qkv", Rows("v")),
        *module("blocks.{b}.attn.o", "model.layers.{b}.self_attn.o_proj", "blk.{b}.attn_output"),
        *_stacked("blocks.{b}.mlp.gate", "mlp.gate_up_proj", "ffn_up", Rows("gate")),
        *_stacked("blocks.{b}.mlp.up", "mlp.gate_up_proj", "ffn_up", Rows("up")),
        *module("blocks.{b}.mlp.down", "model.layers.{b}.mlp.down_proj", "blk.{b}.ffn_down"),
        *names.norms(),
    ),
    unused_tensors=(ROPE_DIVISORS, ROPE_LONG, ROPE_SHORT),
)
