"""Llama 4, text only: three layers of chunks with rope, one that sees everything without; experts fed their weight."""

from __future__ import annotations

from dataclasses import dataclass, replace

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.layer_types import FULL
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    MaskSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    QueryTemperature,
    RopeSpec,
    RouterSpec,
)

_CHUNKED = "chunked_attention"
_THETA = 500000.0
_CHUNK, _STEP = 8192, 4
"""Size of a chunk, and which layers have no rope: every fourth. GGUF files don't say so."""
_TEMPERATURE = QueryTemperature(beta=0.1, period=8192, offset=1)
_MAVERICK_EXPERTS = 128
"""GGUF files show only by the number of experts that heads have no norm."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """What differs from layer to layer."""

    rope: bool
    mask: MaskSpec
    sparse: bool


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=131072, eps=1e-5, head_dim=128)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.only("for_llm_compressor", (False,), "false")
    config.only("attn_temperature_tuning", (True, 4), "true")
    config.harmless("no_rope_layer_interval", *experts.HF_TRAINING)
    temperature = replace(
        _TEMPERATURE,
        beta=config.number("attn_scale", _TEMPERATURE.beta),
        period=config.integer("floor_scale", _TEMPERATURE.period),
    )
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, "interleaved", scaling),
        _hf_layers(config, sizes.layers),
        _experts(config.integer("num_local_experts", 16), config.integer("num_experts_per_tok", 1), width=sizes.width),
        dense=MLPSpec(config.integer("intermediate_size_mlp", 16384)),
        temperature=temperature,
        head_norm=config.boolean("use_qk_norm", True),
        bias=config.boolean("attention_bias", False),
    )


def _hf_layers(config: ConfigReader, layers: int) -> tuple[_Layer, ...]:
    rope = _flags(config, layers)
    sparse = _sparse(config, layers)
    chunk = None if config.is_null("attention_chunk_size") else config.integer("attention_chunk_size", _CHUNK)
    default = tuple(_CHUNKED if with_rope and chunk else FULL for with_rope in rope)
    types = config.strings("layer_types") or default
    if len(types) != layers or not set(types) <= {_CHUNKED, FULL}:
        raise config.refusal("layer_types", list(types), f"{layers} times {_CHUNKED} or {FULL}")
    masks = (MaskSpec("chunk", chunk or 0) if kind == _CHUNKED else MaskSpec() for kind in types)
    return tuple(_Layer(*layer) for layer in zip(rope, masks, sparse, strict=True))


def _flags(config: ConfigReader, layers: int) -> tuple[bool, ...]:
    """Which layers have rope: `no_rope_layers` has a 1 for those that do."""
    step = config.integer("no_rope_layer_interval", _STEP)
    if step == 0:
        raise config.refusal("no_rope_layer_interval", step, "above zero")
    flags = config.numbers("no_rope_layers") if "no_rope_layers" in config else ()
    config.harmless("no_rope_layers")
    if not flags:
        return tuple((index + 1) % step != 0 for index in range(layers))
    if len(flags) < layers or not set(flags) <= {0.0, 1.0}:
        raise config.refusal("no_rope_layers", list(flags), f"{layers} times 0 or 1")
    return tuple(flag == 1 for flag in flags[:layers])


def _sparse(config: ConfigReader, layers: int) -> tuple[bool, ...]:
    """Which layers have experts: `moe_layers`, or every `interleave_moe_layer_step`-th."""
    step = config.integer("interleave_moe_layer_step", 1)
    if "moe_layers" in config:
        chosen = config.numbers("moe_layers")
        return tuple(index in chosen for index in range(layers))
    config.harmless("moe_layers")
    return _every(step, layers)


def _every(step: int, layers: int) -> tuple[bool, ...]:
    return tuple(step > 0 and (index + 1) % step == 0 for index in range(layers))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint, experts=True)
    experts.refuse_gguf_variations(config, renormalise=False, score="sigmoid")
    config.only("attention.sliding_window", (_CHUNK,), f"{_CHUNK}")
    config.only("attention.sliding_window_pattern", (_STEP,), f"{_STEP}")
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    count = config.integer("expert_count")
    sparse = _every(config.integer("interleave_moe_layer_step"), sizes.layers)
    rope = [(index + 1) % _STEP != 0 for index in range(sizes.layers)]
    return _spec(
        sizes,
        RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, "interleaved", scaling),
        tuple(
            _Layer(with_rope, MaskSpec("chunk", _CHUNK) if with_rope else MaskSpec(), experts_here)
            for with_rope, experts_here in zip(rope, sparse, strict=True)
        ),
        _experts(count, config.integer("expert_used_count"), width=config.integer("expert_feed_forward_length")),
        dense=MLPSpec(sizes.width),
        temperature=_TEMPERATURE,
        head_norm=count != _MAVERICK_EXPERTS,
        bias="blk.0.attn_q.bias" in checkpoint.tensors,
    )


def _experts(count: int, chosen: int, *, width: int) -> MoESpec:
    router = RouterSpec(count, chosen, score="sigmoid", order="topk_then_score", renormalise=False, weight_on="input")
    return MoESpec(router, MLPSpec(width), shared=MLPSpec(width))


def _spec(
    sizes: Sizes,
    rope: RopeSpec,
    layers: tuple[_Layer, ...],
    moe: MoESpec,
    *,
    dense: MLPSpec,
    temperature: QueryTemperature,
    head_norm: bool,
    bias: bool,
) -> ModelSpec:
    norm, without_weight = NormSpec(sizes.eps), NormSpec(sizes.eps, weighted=False)

    def block(layer: _Layer) -> BlockSpec:
        attention = replace(
            sizes.attention(rope if layer.rope else None),
            mask=layer.mask,
            qk_norm=without_weight if layer.rope and head_norm else None,
            qk_norm_after_rope=layer.rope and head_norm,
            q_temperature=None if layer.rope else temperature,
            qkv_bias=bias,
            out_bias=bias,
        )
        return BlockSpec(attention, moe if layer.sparse else dense, norm)

    return sizes.model("llama4", map(block, layers), norm)


_LAYER = "model.layers.{b}.feed_forward"

FAMILY = Family(
    name="llama4",
    gguf_architectures=("llama4",),
    hf_model_types=("llama4_text",),
    hf_architectures=("Llama4ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(),
        *names.norms(),
        *names.mlp(_LAYER),
        *experts.router(f"{_LAYER}.router"),
        *experts.joined(f"{_LAYER}.experts.gate_up_proj", f"{_LAYER}.experts.down_proj", transposed=True),
        *experts.shared(f"{_LAYER}.shared_expert"),
    ),
    unused_tensors=(ROPE_DIVISORS, "model.layers.*.self_attn.rotary_emb.inv_freq"),
)
