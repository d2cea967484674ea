"""Gemma 3, text only."""

from __future__ import annotations

from limpide.formats import Checkpoint
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_scaling
from limpide.models.spec import AttentionSpec, BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeScaling, RopeSpec
from limpide.models.transforms import Add

_SLIDING, _FULL = "sliding_attention", "full_attention"
_PATTERN = 6
"""Every sixth layer sees everything. GGUF files don't say so."""
_THETA_SLIDING, _THETA_FULL = 1e4, 1e6
_LAYERS_27B = 62
"""The 27B model scales by its embedding, not its heads; GGUF files show that only by the number of layers."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    context, layers = config.integer("max_position_embeddings", 131072), config.layers("num_hidden_layers")
    config.only("hidden_activation", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("hidden_act", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("use_bidirectional_attention", (False,), "false")
    config.only("attn_logit_softcapping", (), "null")
    theta, theta_sliding, scaling = _hf_ropes(config, context)
    return _spec(
        vocab_size=config.integer("vocab_size", 262208),
        hidden=config.integer("hidden_size", 2304),
        context=context,
        layer_types=_hf_layer_types(config, layers),
        width=config.integer("intermediate_size", 9216),
        # the configurations of multimodal models leave out what is a default
        heads=config.integer("num_attention_heads", 8),
        kv_heads=config.integer("num_key_value_heads", 4),
        head_dim=config.integer("head_dim", 256),
        scale=config.positive("query_pre_attn_scalar", 256.0) ** -0.5,
        eps=config.number("rms_norm_eps", 1e-6),
        theta=theta,
        theta_sliding=theta_sliding,
        scaling=scaling,
        window=config.integer("sliding_window", 4096),
        bias=config.boolean("attention_bias", False),
        final_softcap=config.number("final_logit_softcapping", None),
        tied=config.boolean("tie_word_embeddings", True),
    )


def _hf_ropes(config: ConfigReader, context: int) -> tuple[float, float, RopeScaling | None]:
    """θ of full layers, θ of sliding layers, scaling of full layers."""
    theta = config.number("rope_theta", _THETA_FULL)
    theta_sliding = config.number("rope_local_base_freq", _THETA_SLIDING)
    scaling, old, new = None, config.child("rope_scaling"), config.child("rope_parameters")
    if old is not None and new is not None:
        raise config.refusal("rope_scaling", "given", "not to be given beside rope_parameters")
    if old is not None:
        scaling = hf_scaling(old, context=context)
    if new is not None:
        if (full := new.child(_FULL)) is not None:
            theta, scaling = full.number("rope_theta", theta), hf_scaling(full, context=context)
        if (sliding := new.child(_SLIDING)) is not None:
            theta_sliding = sliding.number("rope_theta", theta_sliding)
            if hf_scaling(sliding, context=context) is not None:
                raise sliding.refusal("rope_type", sliding.string("rope_type"), "default")
    return theta, theta_sliding, scaling


def _hf_layer_types(config: ConfigReader, layers: int) -> tuple[str, ...]:
    pattern = config.integer("sliding_window_pattern", config.integer("_sliding_window_pattern", _PATTERN))
    types = config.strings("layer_types") or _layer_types(layers, pattern)
    if len(types) != layers or not set(types) <= {_SLIDING, _FULL}:
        raise config.refusal("layer_types", list(types), f"{layers} times {_SLIDING} or {_FULL}")
    return types


def _layer_types(layers: int, pattern: int) -> tuple[str, ...]:
    return tuple(_FULL if (index + 1) % max(1, pattern) == 0 else _SLIDING for index in range(layers))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    hidden, heads = config.integer("embedding_length"), config.integer("attention.head_count")
    layers, context = config.layers("block_count"), config.integer("context_length")
    head_dim = config.integer("attention.key_length", 256)
    config.only("attention.value_length", (head_dim,), f"{head_dim}, like attention.key_length")
    config.only("rope.dimension_count", (head_dim,), f"{head_dim}, like attention.key_length")
    config.only("attention.sliding_window_pattern", (_PATTERN,), f"{_PATTERN}")
    config.only("attn_logit_softcapping", (0.0,), "0 (none)")
    vocabulary = checkpoint.tensors.get("token_embd.weight")
    divisor = hidden / max(1, heads) if layers == _LAYERS_27B else head_dim
    return _spec(
        vocab_size=config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0),
        hidden=hidden,
        context=context,
        layer_types=_layer_types(layers, _PATTERN),
        width=config.integer("feed_forward_length"),
        heads=heads,
        kv_heads=config.integer("attention.head_count_kv", heads),
        head_dim=head_dim,
        scale=max(1.0, divisor) ** -0.5,
        eps=config.number("attention.layer_norm_rms_epsilon"),
        theta=config.number("rope.freq_base", _THETA_FULL),
        theta_sliding=config.number("rope.freq_base_swa", _THETA_SLIDING),
        scaling=gguf_scaling(config, checkpoint, context=context),
        window=config.integer("attention.sliding_window"),
        bias="blk.0.attn_q.bias" in checkpoint.tensors,
        final_softcap=config.number("final_logit_softcapping", None) or None,
        tied="output.weight" not in checkpoint.tensors,
    )


def _spec(
    *,
    vocab_size: int,
    hidden: int,
    context: int,
    layer_types: tuple[str, ...],
    width: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    scale: float,
    eps: float,
    theta: float,
    theta_sliding: float,
    scaling: RopeScaling | None,
    window: int,
    bias: bool,
    final_softcap: float | None,
    tied: bool,
) -> ModelSpec:
    norm = NormSpec(eps, mul_in_fp32=True)

    def block(rope: RopeSpec, mask: MaskSpec) -> BlockSpec:
        return BlockSpec(
            attention=AttentionSpec(
                heads=heads,
                kv_heads=kv_heads,
                head_dim=head_dim,
                scale=scale,
                rope=rope,
                mask=mask,
                qk_norm=norm,
                qkv_bias=bias,
                out_bias=bias,
            ),
            feed_forward=MLPSpec(width, activation="gelu_tanh"),
            norm=norm,
            placement="sandwich",
        )

    kinds = {
        _SLIDING: block(RopeSpec(theta_sliding, head_dim), MaskSpec("window", window)),
        _FULL: block(RopeSpec(theta, head_dim, scaling=scaling), MaskSpec()),
    }
    return ModelSpec(
        "gemma3",
        vocab_size,
        hidden,
        context,
        blocks=tuple(kinds[kind] for kind in layer_types),
        norm=norm,
        tied=tied,
        embed_scale=hidden**0.5,
        final_softcap=final_softcap,
    )


_ADD_ONE = Add(1.0)
"""Hugging Face files store norm weights without their 1; GGUF files store them with it."""

TENSORS: tuple[TensorName, ...] = (
    *module("embed", "model.embed_tokens", "token_embd"),
    *module("blocks.{b}.attn_norm", "model.layers.{b}.input_layernorm", "blk.{b}.attn_norm", hf_transform=_ADD_ONE),
    *module("blocks.{b}.attn.q", "model.layers.{b}.self_attn.q_proj", "blk.{b}.attn_q"),
    *module("blocks.{b}.attn.k", "model.layers.{b}.self_attn.k_proj", "blk.{b}.attn_k"),
    *module("blocks.{b}.attn.v", "model.layers.{b}.self_attn.v_proj", "blk.{b}.attn_v"),
    *module("blocks.{b}.attn.o", "model.layers.{b}.self_attn.o_proj", "blk.{b}.attn_output"),
    *module(
        "blocks.{b}.attn.q_norm", "model.layers.{b}.self_attn.q_norm", "blk.{b}.attn_q_norm", hf_transform=_ADD_ONE
    ),
    *module(
        "blocks.{b}.attn.k_norm", "model.layers.{b}.self_attn.k_norm", "blk.{b}.attn_k_norm", hf_transform=_ADD_ONE
    ),
    *module(
        "blocks.{b}.attn_post_norm",
        "model.layers.{b}.post_attention_layernorm",
        "blk.{b}.post_attention_norm",
        hf_transform=_ADD_ONE,
    ),
    *module(
        "blocks.{b}.mlp_norm", "model.layers.{b}.pre_feedforward_layernorm", "blk.{b}.ffn_norm", hf_transform=_ADD_ONE
    ),
    *module(
        "blocks.{b}.mlp_post_norm",
        "model.layers.{b}.post_feedforward_layernorm",
        "blk.{b}.post_ffw_norm",
        hf_transform=_ADD_ONE,
    ),
    *module("blocks.{b}.mlp.gate", "model.layers.{b}.mlp.gate_proj", "blk.{b}.ffn_gate"),
    *module("blocks.{b}.mlp.up", "model.layers.{b}.mlp.up_proj", "blk.{b}.ffn_up"),
    *module("blocks.{b}.mlp.down", "model.layers.{b}.mlp.down_proj", "blk.{b}.ffn_down"),
    *module("norm", "model.norm", "output_norm", hf_transform=_ADD_ONE),
    *module("lm_head", "lm_head", "output"),
)

FAMILY = Family(
    name="gemma3",
    gguf_architectures=("gemma3",),
    hf_model_types=("gemma3_text",),
    hf_architectures=("Gemma3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=TENSORS,
    unused_tensors=(ROPE_DIVISORS,),
)
