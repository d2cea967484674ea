"""Qwen3-Next: three layers of gated DeltaNet to one of gated attention, and experts in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.qwen2_moe import hf_sparse_layers
from limpide.models.recurrent import deltanet
from limpide.models.rope_config import gguf_scaling, hf_rope
from limpide.models.sizes import Defaults, Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    DeltaNetSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeSpec,
    RouterSpec,
)
from limpide.models.transforms import Add, OneRow

_THETA, _PART = 10000.0, 0.25
"""Rope's θ, and the part of each head that it turns, where a config.json says nothing."""
_INTERVAL = 4
"""Every fourth layer is attention."""
_LINEAR, _FULL = "linear_attention", "full_attention"
_WITHOUT_MLP = Defaults(width=0)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the layers of a model are made of."""

    sizes: Sizes
    rope: RopeSpec
    deltanet: DeltaNetSpec
    recurrent: tuple[bool, ...]
    """Which layers are DeltaNet."""
    bias: bool

    def model(self, family: str, feed_forward: tuple[MLPSpec | MoESpec, ...]) -> ModelSpec:
        """A whole model of these."""
        sizes, norm = self.sizes, NormSpec(self.sizes.eps)
        attention = replace(
            sizes.attention(self.rope), qk_norm=norm, qkv_bias=self.bias, out_bias=self.bias, out_gate=True
        )
        blocks = (
            BlockSpec(self.deltanet if carries else attention, each, norm)
            for carries, each in zip(self.recurrent, feed_forward, strict=True)
        )
        return sizes.model(family, blocks, norm)


def hf_parts(config: ConfigReader) -> Parts:
    """From a config.json. Positions in three dimensions are one and the same for text."""
    sizes = hf_sizes(
        config, context=32768, head_dim=256, defaults=_WITHOUT_MLP if "num_experts" in config else Defaults()
    )
    part = config.positive("partial_rotary_factor", _PART)
    if (settings := config.child("rope_parameters") or config.child("rope_scaling")) is not None:
        part = settings.positive("partial_rotary_factor", part)
        settings.harmless("mrope_section", "mrope_interleaved")
    if part > 1:
        raise config.refusal("partial_rotary_factor", part, "at most 1")
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context, partial=True)
    config.only("hidden_act", ("silu",), "silu")
    config.only("attn_output_gate", (True,), "true")
    config.only("output_gate_type", ("swish", "silu"), "swish, which is silu")
    config.only("use_sliding_window", (False,), "false")
    config.harmless("sliding_window", "max_window_layers", "mamba_ssm_dtype", *experts.HF_TRAINING)
    config.harmless("mtp_num_hidden_layers", "mtp_use_dedicated_embeddings")
    return Parts(
        sizes,
        RopeSpec(theta, int(sizes.head_dim * part), scaling=scaling),
        DeltaNetSpec(
            key_heads=config.integer("linear_num_key_heads", 16),
            value_heads=config.integer("linear_num_value_heads", 32),
            key_dim=config.integer("linear_key_head_dim", 128),
            value_dim=config.integer("linear_value_head_dim", 128),
            kernel=config.integer("linear_conv_kernel_dim", 4),
            norm=NormSpec(sizes.eps),
        ),
        _hf_recurrent(config, sizes.layers),
        bias=config.boolean("attention_bias", False),
    )


def _hf_recurrent(config: ConfigReader, layers: int) -> tuple[bool, ...]:
    interval = config.integer("full_attention_interval", _INTERVAL)
    types = config.strings("layer_types")
    if types is None:
        return every(interval, layers)
    if len(types) != layers or not set(types) <= {_LINEAR, _FULL}:
        raise config.refusal("layer_types", list(types), f"{layers} times {_LINEAR} or {_FULL}")
    return tuple(kind == _LINEAR for kind in types)


def every(interval: int, layers: int) -> tuple[bool, ...]:
    """All but each `interval`-th."""
    return tuple((index + 1) % max(1, interval) != 0 for index in range(layers))


def gguf_parts(config: ConfigReader, checkpoint: Checkpoint, *, tiled: bool, with_experts: bool) -> Parts:
    """From GGUF metadata, where a layer for multi-token prediction may be counted. It is left out."""
    sizes = gguf_sizes(config, checkpoint, whole_head_rope=False, experts=with_experts)
    config.only("nextn_predict_layers", (0, 1), "0 or 1: one layer that is left out")
    stored, ahead = sizes.layers, config.integer("nextn_predict_layers", 0)
    sizes = replace(sizes, layers=max(1, stored - ahead))
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    config.harmless("rope.dimension_sections")
    interval = config.integer("full_attention_interval", _INTERVAL)
    key = "attention.recurrent_layers"
    value_heads, inner = config.integer("ssm.time_step_rank"), config.integer("ssm.inner_size")
    return Parts(
        sizes,
        RopeSpec(config.number("rope.freq_base", _THETA), config.integer("rope.dimension_count"), scaling=scaling),
        DeltaNetSpec(
            key_heads=config.integer("ssm.group_count"),
            value_heads=value_heads,
            key_dim=config.integer("ssm.state_size"),
            value_dim=inner // max(1, value_heads),
            kernel=config.integer("ssm.conv_kernel"),
            norm=NormSpec(sizes.eps),
            tiled=tiled,
        ),
        config.flags(key, stored)[: sizes.layers] if key in config else every(interval, sizes.layers),
        bias=any(name.endswith("attn_q.bias") for name in checkpoint.tensors),
    )


def hf_experts(config: ConfigReader, *, renormalise: bool = True) -> MoESpec:
    """The experts of a config.json."""
    router = RouterSpec(
        config.integer("num_experts", 512), config.integer("num_experts_per_tok", 10), renormalise=renormalise
    )
    width, shared = (config.integer(f"{key}_intermediate_size", 512) for key in ("moe", "shared_expert"))
    return MoESpec(router, MLPSpec(width), shared=MLPSpec(shared), shared_gate=True)


def gguf_experts(config: ConfigReader, width: int) -> MoESpec:
    """The experts of GGUF metadata; `width` is what there is of feed_forward_length."""
    experts.refuse_gguf_variations(config, renormalise=True)
    router = RouterSpec(config.integer("expert_count"), config.integer("expert_used_count"))
    own = config.integer("expert_feed_forward_length", width // max(1, router.chosen))
    shared = config.integer("expert_shared_feed_forward_length", width)
    return MoESpec(router, MLPSpec(own), shared=MLPSpec(shared), shared_gate=True)


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    parts = hf_parts(config)
    moe = hf_experts(config, renormalise=config.boolean("norm_topk_prob", True))
    return parts.model("qwen3_next", hf_sparse_layers(config, parts.sizes, moe))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    parts = gguf_parts(config, checkpoint, tiled=False, with_experts=True)
    return parts.model("qwen3_next", (gguf_experts(config, parts.sizes.width),) * parts.sizes.layers)


_ADD_ONE = Add(1.0)
"""Folders store norm weights without their 1, GGUF files with it; DeltaNet's own norm has none to add."""
_LAYER = "model.layers.{b}"

AROUND: tuple[TensorName, ...] = (
    *names.OUTER,
    *names.attention(),
    *names.head_norms(_ADD_ONE),
    *module("blocks.{b}.attn_norm", f"{_LAYER}.input_layernorm", "blk.{b}.attn_norm", hf_transform=_ADD_ONE),
    *module(
        "blocks.{b}.mlp_norm",
        f"{_LAYER}.post_attention_layernorm",
        "blk.{b}.post_attention_norm",
        hf_transform=_ADD_ONE,
    ),
    *module("norm", "model.norm", "output_norm", hf_transform=_ADD_ONE),
    *names.MLP,
)
"""Everything but DeltaNet and experts."""
EXPERTS: tuple[TensorName, ...] = (
    *experts.router(f"{_LAYER}.mlp.gate"),
    *experts.apart(f"{_LAYER}.mlp.experts"),
    *experts.joined(f"{_LAYER}.mlp.experts.gate_up_proj", f"{_LAYER}.mlp.experts.down_proj"),
    *experts.shared(f"{_LAYER}.mlp.shared_expert"),
    TensorName(
        "blocks.{b}.mlp.shared_gate.weight",
        f"{_LAYER}.mlp.shared_expert_gate.weight",
        "blk.{b}.ffn_gate_inp_shexp.weight",
        gguf_transform=OneRow(),
    ),
)
UNUSED = ("mtp.*", "model.mtp.*", "blk.{n}.*")
"""Of the layer for multi-token prediction."""

FAMILY = Family(
    name="qwen3_next",
    gguf_architectures=("qwen3next",),
    hf_model_types=("qwen3_next",),
    hf_architectures=("Qwen3NextForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*deltanet(f"{_LAYER}.linear_attn", stacked=True), *AROUND, *EXPERTS),
    unused_tensors=UNUSED,
)
