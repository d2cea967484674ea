"""Gemma 4, text only: two kinds of layers with heads of their own, shared keys, a second embedding, experts beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from limpide.formats import Checkpoint
from limpide.models import experts as moe
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.layer_types import FULL, SLIDING, every, hf_layer_types
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_scaling
from limpide.models.sizes import Sizes, hf_sizes
from limpide.models.spec import (
    AttentionSpec,
    BlockSpec,
    DivisorScaling,
    MaskSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeScaling,
    RopeSpec,
    RouterSpec,
)

_STEP = 6
_LARGEST_HEAD = 1 << 16
_PER_LAYER = "hidden_size_per_layer_input"
_THETA_SLIDING, _THETA_FULL = 1e4, 1e6
_ROTATED = 0.25
"""Part of a full layer's pairs that turn."""
_STILL = 1e30
"""What the frequency of a pair that doesn't turn is divided by, as GGUF files write it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """How one layer attends. `source` is the earlier layer whose keys and values it uses."""

    kind: str
    head_dim: int
    kv_heads: int
    width: int
    k_eq_v: bool
    source: int | None


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=131072, tied=True, head_dim=256)
    config.only("hidden_activation", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("use_bidirectional_attention", (False, "vision"), 'null or "vision", which leaves text causal')
    config.only("vocab_size_per_layer_input", (sizes.vocab_size,), f"{sizes.vocab_size}, like vocab_size")
    layers = _hf_layers(config, sizes)
    sliding, full = _hf_ropes(config, sizes, layers)
    return _spec(
        sizes,
        layers,
        {SLIDING: sliding, FULL: full},
        window=config.integer("sliding_window", 512),
        bias=config.boolean("attention_bias", False),
        per_layer=0 if config.is_null(_PER_LAYER) else config.integer(_PER_LAYER, 256),
        final_softcap=config.number("final_logit_softcapping", None),
        experts=_hf_experts(config, sizes),
    )


def _hf_experts(config: ConfigReader, sizes: Sizes) -> MoESpec | None:
    keys = ("num_experts", "top_k_experts", "moe_intermediate_size")
    if not config.boolean("enable_moe_block", False):
        config.harmless(*keys)
        return None
    return _experts(sizes, *(config.integer(key) for key in keys))


def _experts(sizes: Sizes, count: int, chosen: int, width: int) -> MoESpec:
    """Beside the MLP of every block."""
    norm, scale = NormSpec(sizes.eps, mul_in_fp32=True), sizes.hidden**-0.5
    router = RouterSpec(count, chosen, norm=norm, input_scale=scale, expert_scale=True)
    return MoESpec(router, MLPSpec(width, activation="gelu_tanh"))


def _hf_layers(config: ConfigReader, sizes: Sizes) -> list[Layer]:
    types = hf_layer_types(config, sizes.layers, every(_STEP, sizes.layers))
    types = (*types[:-1], FULL)  # the last layer sees everything, whatever the list says
    shared = config.integer("num_kv_shared_layers", 0)
    double = config.boolean("use_double_wide_mlp", False)
    keys_are_values = config.boolean("attention_k_eq_v", False)
    head_dim = _bounded(config, "global_head_dim", config.integer("global_head_dim", 512))
    global_kv_heads = config.integer("num_global_key_value_heads", None)
    kv_heads = global_kv_heads if keys_are_values and global_kv_heads is not None else sizes.kv_heads
    own, layers = config.child("per_layer_config"), []
    for index, (kind, source) in enumerate(zip(types, _sources(config, types, shared), strict=True)):
        layer = Layer(
            kind,
            head_dim if kind == FULL and own is None else sizes.head_dim,
            kv_heads if kind == FULL and own is None else sizes.kv_heads,
            sizes.width * (2 if double and source is not None else 1),
            keys_are_values and kind == FULL,
            source,
        )
        settings = None if own is None else own.child(str(index))
        if settings is not None:
            layer = replace(
                layer,
                head_dim=_bounded(settings, "head_dim", settings.integer("head_dim", layer.head_dim)),
                kv_heads=settings.integer("num_key_value_heads", layer.kv_heads),
            )
        layers.append(layer)
    return layers


def _bounded(config: ConfigReader, key: str, value: int) -> int:
    """A head's size. Bounded: a number per pair is made before the weights are looked at."""
    if not 0 < value <= _LARGEST_HEAD:
        raise config.refusal(key, value, f"1 to {_LARGEST_HEAD}")
    return value


def _sources(config: ConfigReader, types: Sequence[str], shared: int) -> list[int | None]:
    """The last `shared` layers use keys and values of the last layer of their kind before them."""
    first = len(types) - shared
    sources: list[int | None] = []
    for index, kind in enumerate(types):
        earlier = [other for other in range(max(0, first)) if types[other] == kind]
        if index >= first and not earlier:
            raise config.refusal("num_kv_shared_layers", shared, "a layer of each kind with keys of its own")
        sources.append(earlier[-1] if index >= first else None)
    return sources


def _hf_ropes(config: ConfigReader, sizes: Sizes, layers: Sequence[Layer]) -> tuple[RopeSpec, RopeSpec]:
    """Rope of sliding layers and of full ones."""
    dims = {layer.kind: layer.head_dim for layer in layers}
    settings = config.child("rope_parameters")
    sliding = None if settings is None else settings.child(SLIDING)
    full = None if settings is None else settings.child(FULL)
    theta = _THETA_SLIDING if sliding is None else sliding.number("rope_theta", _THETA_SLIDING)
    scaling = None if sliding is None else hf_scaling(sliding, context=sizes.context)
    return (
        RopeSpec(theta, dims.get(SLIDING, sizes.head_dim), scaling=scaling),
        RopeSpec(
            _THETA_FULL if full is None else full.number("rope_theta", _THETA_FULL),
            dims[FULL],
            scaling=_hf_proportional(full, dims[FULL]),
        ),
    )


def _hf_proportional(settings: ConfigReader | None, dims: int) -> RopeScaling:
    """Only the first pairs turn, at the frequencies that they have among all pairs of the head."""
    share, factor = _ROTATED, 1.0
    if settings is not None:
        kind = settings.string("rope_type", "proportional")
        if kind != "proportional":
            raise settings.refusal("rope_type", kind, "proportional")
        share, factor = settings.number("partial_rotary_factor", 1.0), settings.positive("factor", 1.0)
        if not 0 <= share <= 1:
            raise settings.refusal("partial_rotary_factor", share, "from 0 to 1")
    turning = int(share * dims // 2)
    return DivisorScaling((factor,) * turning + (_STILL,) * (dims // 2 - turning))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    count = config.layers("block_count")
    context = config.integer("context_length")
    dims = {FULL: config.integer("attention.key_length"), SLIDING: config.integer("attention.key_length_swa")}
    for kind, suffix in ((FULL, ""), (SLIDING, "_swa")):
        config.only(
            f"attention.value_length{suffix}", (dims[kind],), f"{dims[kind]}, like attention.key_length{suffix}"
        )
        config.only(f"rope.dimension_count{suffix}", (dims[kind],), f"{dims[kind]}, like attention.key_length{suffix}")
    heads = config.integer("attention.head_count")
    vocabulary = checkpoint.tensors.get("token_embd.weight")
    sizes = Sizes(
        vocab_size=config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0),
        hidden=config.integer("embedding_length"),
        context=context,
        layers=count,
        width=0,  # each layer has its own
        heads=heads,
        kv_heads=0,
        head_dim=dims[SLIDING],
        eps=config.number("attention.layer_norm_rms_epsilon"),
        tied="output.weight" not in checkpoint.tensors,
    )
    full = RopeSpec(
        config.number("rope.freq_base", _THETA_FULL),
        dims[FULL],
        scaling=gguf_scaling(config, checkpoint, context=context),
    )
    return _spec(
        sizes,
        _gguf_layers(config, checkpoint, count, heads, dims),
        {SLIDING: RopeSpec(config.number("rope.freq_base_swa", _THETA_SLIDING), dims[SLIDING]), FULL: full},
        window=config.integer("attention.sliding_window"),
        bias="blk.0.attn_q.bias" in checkpoint.tensors,
        layer_scalar="blk.0.layer_output_scale.weight" in checkpoint.tensors,
        per_layer=config.integer("embedding_length_per_layer_input", 0),
        final_softcap=config.number("final_logit_softcapping", None) or None,
        experts=_gguf_experts(config, sizes),
    )


def _gguf_experts(config: ConfigReader, sizes: Sizes) -> MoESpec | None:
    moe.refuse_gguf_variations(config, renormalise=True)
    count = config.integer("expert_count", 0)
    if count == 0:
        config.harmless("expert_used_count", "expert_feed_forward_length")
        return None
    return _experts(sizes, count, config.integer("expert_used_count"), config.integer("expert_feed_forward_length"))


def _gguf_layers(
    config: ConfigReader, checkpoint: Checkpoint, count: int, heads: int, dims: dict[str, int]
) -> list[Layer]:
    types = [SLIDING if flag else FULL for flag in config.flags("attention.sliding_window_pattern", count)]
    sources = _sources(config, types, config.integer("attention.shared_kv_layers", 0))
    kv_heads = config.per_layer("attention.head_count_kv", count, heads)
    widths = config.per_layer("feed_forward_length", count, 0)
    return [
        Layer(
            kind,
            dims[kind],
            kv_heads[index],
            widths[index],
            sources[index] is None and f"blk.{index}.attn_v.weight" not in checkpoint.tensors,
            sources[index],
        )
        for index, kind in enumerate(types)
    ]


def _spec(
    sizes: Sizes,
    layers: Sequence[Layer],
    ropes: dict[str, RopeSpec],
    *,
    window: int,
    bias: bool,
    per_layer: int,
    final_softcap: float | None,
    experts: MoESpec | None,
    layer_scalar: bool = True,
) -> ModelSpec:
    norm = NormSpec(sizes.eps, mul_in_fp32=True)

    def block(layer: Layer) -> BlockSpec:
        attention = AttentionSpec(
            heads=sizes.heads,
            kv_heads=layer.kv_heads,
            head_dim=layer.head_dim,
            scale=1.0,
            rope=ropes[layer.kind],
            mask=MaskSpec("window", window) if layer.kind == SLIDING else MaskSpec(),
            qk_norm=norm,
            v_norm=NormSpec(sizes.eps, weighted=False),
            qkv_bias=bias,
            out_bias=bias,
            kv_source_layer=layer.source,
            k_eq_v=layer.k_eq_v and layer.source is None,
        )
        return BlockSpec(
            attention,
            MLPSpec(layer.width, activation="gelu_tanh"),
            norm,
            placement="sandwich",
            per_layer_input=per_layer,
            experts_beside=experts,
            layer_scalar=layer_scalar,
        )

    return sizes.model(
        "gemma4",
        map(block, layers),
        norm,
        embed_scale=sizes.hidden**0.5,
        final_softcap=final_softcap,
        per_layer_embedding=per_layer,
    )


def _per_layer(ours: str, hf: str, gguf: str) -> tuple[TensorName, ...]:
    return module(f"blocks.{{b}}.per_layer.{ours}", f"model.layers.{{b}}.{hf}", f"blk.{{b}}.{gguf}")


_BESIDE = "blocks.{b}.beside"
_LAYER = "model.layers.{b}"

EXPERTS: tuple[TensorName, ...] = (
    *moe.router(f"{_LAYER}.router.proj", f"{_BESIDE}.router"),
    TensorName(f"{_BESIDE}.router.norm.weight", f"{_LAYER}.router.scale", "blk.{b}.ffn_gate_inp.scale"),
    TensorName(f"{_BESIDE}.router.expert_scale", f"{_LAYER}.router.per_expert_scale", "blk.{b}.ffn_down_exps.scale"),
    *moe.joined(f"{_LAYER}.experts.gate_up_proj", f"{_LAYER}.experts.down_proj", ours=f"{_BESIDE}.experts"),
    *module(f"{_BESIDE}.norm", f"{_LAYER}.pre_feedforward_layernorm_2", "blk.{b}.pre_ffw_norm_2"),
    *module(f"{_BESIDE}.post_norm", f"{_LAYER}.post_feedforward_layernorm_2", "blk.{b}.post_ffw_norm_2"),
    *module(f"{_BESIDE}.mlp_post_norm", f"{_LAYER}.post_feedforward_layernorm_1", "blk.{b}.post_ffw_norm_1"),
)

FAMILY = Family(
    name="gemma4",
    gguf_architectures=("gemma4",),
    hf_model_types=("gemma4_text",),
    hf_architectures=("Gemma4ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *module("per_layer.embed", "model.embed_tokens_per_layer", "per_layer_token_embd"),
        *module("per_layer.proj", "model.per_layer_model_projection", "per_layer_model_proj"),
        *module("per_layer.norm", "model.per_layer_projection_norm", "per_layer_proj_norm"),
        *names.attention(),
        *names.head_norms(),
        *names.MLP,
        *names.sandwich_norms(),
        *_per_layer("gate", "per_layer_input_gate", "inp_gate"),
        *_per_layer("proj", "per_layer_projection", "proj"),
        *_per_layer("norm", "post_per_layer_input_norm", "post_norm"),
        *EXPERTS,
        TensorName("blocks.{b}.scalar", "model.layers.{b}.layer_scalar", "blk.{b}.layer_output_scale.weight"),
    ),
    unused_tensors=(ROPE_DIVISORS,),
)
