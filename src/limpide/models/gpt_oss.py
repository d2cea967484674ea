"""gpt-oss: sinks, alternate windows, biases everywhere, and experts with a clamped gate."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.layer_types import FULL, SLIDING, hf_layer_types, masks
from limpide.models.rope_config import gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    GateClamp,
    MaskSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeScaling,
    RopeSpec,
    RouterSpec,
    YarnScaling,
)
from limpide.models.transforms import JoinedBias
from limpide.quant import Layout

_THETA, _WINDOW = 150000.0, 128
_YARN = YarnScaling(32.0, 4096, truncate=False)
_CLAMP = GateClamp(alpha=1.702, limit=7.0)
"""GGUF files don't say it."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=131072, eps=1e-5, head_dim=64)
    config.only("hidden_act", ("silu",), "silu")
    config.harmless(*experts.HF_TRAINING)
    chosen = config.integer("num_experts_per_tok", 4)
    config.only("experts_per_token", (chosen,), f"{chosen}, like num_experts_per_tok")
    theta, scaling = _hf_rope(config, sizes.context)
    if isinstance(scaling, YarnScaling):
        original = scaling.original_context
        config.only("initial_context_length", (original,), f"{original}, like original_max_position_embeddings")
    kinds = hf_layer_types(config, sizes.layers, _alternate(sizes.layers))
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        masks(kinds, config.integer("sliding_window", _WINDOW)),
        RouterSpec(config.integer("num_local_experts", 128), chosen, order="topk_then_score", bias=True),
        GateClamp(config.positive("swiglu_alpha", _CLAMP.alpha), config.positive("swiglu_limit", _CLAMP.limit)),
        bias=config.boolean("attention_bias", True),
    )


def _hf_rope(config: ConfigReader, context: int) -> tuple[float, RopeScaling | None]:
    theta, scaling = hf_rope(config, theta=_THETA, context=context)
    said = "rope_scaling" in config or "rope_parameters" in config
    return theta, scaling if said else _YARN


def _alternate(layers: int) -> tuple[str, ...]:
    """Windows on every second layer from the first on. GGUF files don't say so."""
    return tuple(FULL if index % 2 else SLIDING for index in range(layers))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. It can't say that YaRN's range isn't rounded, which it never is here."""
    sizes = gguf_sizes(config, checkpoint, experts=True)
    experts.refuse_gguf_variations(config, renormalise=False)
    theta, scaling = config.number("rope.freq_base", _THETA), gguf_scaling(config, checkpoint, context=sizes.context)
    config.only("rope.freq_base_swa", (theta,), f"{theta}, like rope.freq_base")
    config.only("attention.sliding_window_pattern", (2,), "2")
    if isinstance(scaling, YarnScaling):
        scaling = replace(scaling, truncate=False)
    sizes = replace(sizes, width=config.integer("expert_feed_forward_length"))
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        masks(_alternate(sizes.layers), config.integer("attention.sliding_window")),
        RouterSpec(
            config.integer("expert_count"), config.integer("expert_used_count"), order="topk_then_score", bias=True
        ),
        _CLAMP,
        bias=True,
    )


def _spec(
    sizes: Sizes, rope: RopeSpec, masks: tuple[MaskSpec, ...], router: RouterSpec, clamp: GateClamp, *, bias: bool
) -> ModelSpec:
    norm = NormSpec(sizes.eps, mul_in_fp32=True)
    moe = MoESpec(router, MLPSpec(sizes.width, bias=True, clamp=clamp))

    def block(mask: MaskSpec) -> BlockSpec:
        attention = replace(sizes.attention(rope), mask=mask, sinks=True, qkv_bias=bias, out_bias=bias)
        return BlockSpec(attention, moe, norm)

    return sizes.model("gpt_oss", map(block, masks), norm)


_EXPERTS = "model.layers.{b}.mlp.experts"


def _bias(matrix: str, hf: str, layout: Layout) -> TensorName:
    ours, gguf = f"blocks.{{b}}.mlp.experts.{matrix}.bias", f"blk.{{b}}.ffn_{matrix}_exps.bias"
    return TensorName(ours, f"{_EXPERTS}.{hf}", gguf, hf_transform=JoinedBias(layout))


FAMILY = Family(
    name="gpt_oss",
    gguf_architectures=("gpt-oss",),
    hf_model_types=("gpt_oss",),
    hf_architectures=("GptOssForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(),
        TensorName("blocks.{b}.attn.sinks", "model.layers.{b}.self_attn.sinks", "blk.{b}.attn_sinks.weight"),
        *module("blocks.{b}.attn_norm", "model.layers.{b}.input_layernorm", "blk.{b}.attn_norm"),
        *module("blocks.{b}.mlp_norm", "model.layers.{b}.post_attention_layernorm", "blk.{b}.post_attention_norm"),
        *module("norm", "model.norm", "output_norm"),
        *experts.router("model.layers.{b}.mlp.router"),
        *experts.joined(f"{_EXPERTS}.gate_up_proj", f"{_EXPERTS}.down_proj", by="turns", transposed=True),
        *experts.joined(f"{_EXPERTS}.gate_up_proj_blocks", f"{_EXPERTS}.down_proj_blocks", by="turns"),
        _bias("gate", "gate_up_proj_bias", Layout("even")),
        _bias("up", "gate_up_proj_bias", Layout("odd")),
        _bias("down", "down_proj_bias", Layout()),
    ),
)
