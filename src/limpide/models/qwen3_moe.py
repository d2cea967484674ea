"""Qwen3-MoE: Qwen3 with experts in each block, and none for every token."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.qwen2_moe import hf_sparse_layers
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    MaskSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeSpec,
    RouterSpec,
)

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=32768)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    # some files repeat what every Qwen3 mixture is like
    config.only("qkv_bias", (False,), "false: attention_bias says it")
    config.only("use_qk_norm", (True,), "true")
    config.only("shared_expert_intermediate_size", (0,), "0: no expert that every token uses")
    config.harmless("sliding_window", "max_window_layers", *experts.HF_TRAINING)
    count = "num_local_experts" if "num_local_experts" in config else "num_experts"
    router = RouterSpec(
        config.integer(count, 128),
        config.integer("num_experts_per_tok", 8),
        renormalise=config.boolean("norm_topk_prob", False),
    )
    window = config.integer("sliding_window", 4096) if config.boolean("use_sliding_window", False) else 0
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        MaskSpec("window", window) if window else MaskSpec(),
        hf_sparse_layers(config, sizes, MoESpec(router, MLPSpec(config.integer("moe_intermediate_size", 768)))),
        bias=config.boolean("attention_bias", False),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. Weights of experts are always renormalised there."""
    sizes = gguf_sizes(config, checkpoint, experts=True)
    experts.refuse_gguf_variations(config, renormalise=True)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    router = RouterSpec(config.integer("expert_count"), config.integer("expert_used_count"))
    width = config.integer("expert_feed_forward_length", sizes.width // max(1, router.chosen))
    return _spec(
        sizes,
        RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling),
        MaskSpec(),
        (MoESpec(router, MLPSpec(width)),) * sizes.layers,
        bias="blk.0.attn_q.bias" in checkpoint.tensors,
    )


def _spec(
    sizes: Sizes, rope: RopeSpec, mask: MaskSpec, feed_forward: tuple[MLPSpec | MoESpec, ...], *, bias: bool
) -> ModelSpec:
    norm = NormSpec(sizes.eps)
    attention = replace(sizes.attention(rope), mask=mask, qk_norm=norm, qkv_bias=bias, out_bias=bias)
    return sizes.model("qwen3_moe", (BlockSpec(attention, each, norm) for each in feed_forward), norm)


FAMILY = Family(
    name="qwen3_moe",
    gguf_architectures=("qwen3moe",),
    hf_model_types=("qwen3_moe",),
    hf_architectures=("Qwen3MoeForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(),
        *names.head_norms(),
        *names.norms(),
        *names.MLP,
        *experts.router("model.layers.{b}.mlp.gate"),
        *experts.apart("model.layers.{b}.mlp.experts"),
    ),
    unused_tensors=(ROPE_DIVISORS,),
)
