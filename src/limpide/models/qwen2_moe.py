"""Qwen2-MoE: Qwen2 with experts, and one for every token whose output a gate of its own weighs."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName
from limpide.models.layer_types import FULL, SLIDING, hf_layer_types, masks
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
from limpide.models.transforms import OneRow

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=32768)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.harmless(*experts.HF_TRAINING)
    router = RouterSpec(
        config.integer("num_experts", 60),
        config.integer("num_experts_per_tok", 4),
        renormalise=config.boolean("norm_topk_prob", False),
    )
    width, shared = (
        config.integer("moe_intermediate_size", 1408),
        config.integer("shared_expert_intermediate_size", 5632),
    )
    moe = MoESpec(router, MLPSpec(width), shared=MLPSpec(shared), shared_gate=True)
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        _hf_masks(config, sizes.layers),
        hf_sparse_layers(config, sizes, moe),
        bias=config.boolean("qkv_bias", True),
    )


def _hf_masks(config: ConfigReader, layers: int) -> tuple[MaskSpec, ...]:
    """What each layer sees: all, unless `use_sliding_window` puts a window on every second one."""
    first = config.integer("max_window_layers", 28)
    window = config.integer("sliding_window", 4096) if config.boolean("use_sliding_window", False) else None
    config.harmless("sliding_window")
    sliding = [window is not None and index % 2 == 0 and index < first for index in range(layers)]
    return masks(hf_layer_types(config, layers, tuple(SLIDING if s else FULL for s in sliding)), window)


def hf_sparse_layers(config: ConfigReader, sizes: Sizes, moe: MoESpec) -> tuple[MLPSpec | MoESpec, ...]:
    """Each layer's feed-forward part: every `decoder_sparse_step`-th has experts, but for `mlp_only_layers`."""
    step = config.integer("decoder_sparse_step", 1)
    if step == 0:
        raise config.refusal("decoder_sparse_step", step, "above zero")
    dense = config.numbers("mlp_only_layers") if "mlp_only_layers" in config else ()
    config.harmless("mlp_only_layers")
    mlp = MLPSpec(sizes.width)
    return tuple(moe if (index + 1) % step == 0 and index not in dense else mlp for index in range(sizes.layers))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. Weights of experts are never renormalised there."""
    sizes = gguf_sizes(config, checkpoint, experts=True)
    experts.refuse_gguf_variations(config, renormalise=False)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    router = RouterSpec(config.integer("expert_count"), config.integer("expert_used_count"), renormalise=False)
    width = config.integer("expert_feed_forward_length", sizes.width // max(1, router.chosen))
    shared = config.integer("expert_shared_feed_forward_length", sizes.width)
    moe = MoESpec(router, MLPSpec(width), shared=MLPSpec(shared), shared_gate=True)
    rope = RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling)
    bias = "blk.0.attn_q.bias" in checkpoint.tensors
    return _spec(sizes, rope, (MaskSpec(),) * sizes.layers, (moe,) * sizes.layers, bias=bias)


def _spec(
    sizes: Sizes,
    rope: RopeSpec,
    masks: tuple[MaskSpec, ...],
    feed_forward: tuple[MLPSpec | MoESpec, ...],
    *,
    bias: bool,
) -> ModelSpec:
    norm = NormSpec(sizes.eps)

    def block(mask: MaskSpec, feed_forward: MLPSpec | MoESpec) -> BlockSpec:
        attention = replace(sizes.attention(rope), mask=mask, qkv_bias=bias)
        return BlockSpec(attention, feed_forward, norm)

    return sizes.model("qwen2_moe", map(block, masks, feed_forward), norm)


_SHARED_GATE = TensorName(
    "blocks.{b}.mlp.shared_gate.weight",
    "model.layers.{b}.mlp.shared_expert_gate.weight",
    "blk.{b}.ffn_gate_inp_shexp.weight",
    gguf_transform=OneRow(),
)

FAMILY = Family(
    name="qwen2_moe",
    gguf_architectures=("qwen2moe",),
    hf_model_types=("qwen2_moe",),
    hf_architectures=("Qwen2MoeForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(),
        *names.norms(),
        *names.MLP,
        *experts.router("model.layers.{b}.mlp.gate"),
        *experts.apart("model.layers.{b}.mlp.experts"),
        *experts.shared("model.layers.{b}.mlp.shared_expert"),
        _SHARED_GATE,
    ),
    unused_tensors=(ROPE_DIVISORS,),
)
