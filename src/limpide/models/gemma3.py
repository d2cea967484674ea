"""Gemma 3, text only."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.layer_types import FULL, SLIDING, every, hf_layer_types, masks
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_scaling
from limpide.models.sizes import Defaults, Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeScaling, RopeSpec
from limpide.models.transforms import Add

_PATTERN = 6
"""Every sixth layer sees everything. GGUF files don't say so."""
_THETA_SLIDING, _THETA_FULL = 1e4, 1e6
_LAYERS_27B = 62
"""The 27B model scales by its embedding, not its heads; GGUF files show that only by the number of layers."""
_DEFAULTS = Defaults(vocab_size=262208, hidden=2304, width=9216, heads=8, kv_heads=4)


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json. Those of multimodal models leave out what is a default."""
    sizes = hf_sizes(config, context=131072, tied=True, head_dim=256, defaults=_DEFAULTS)
    config.only("hidden_activation", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("hidden_act", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("use_bidirectional_attention", (False,), "false")
    config.only("attn_logit_softcapping", (), "null")
    theta, theta_sliding, scaling = _hf_ropes(config, sizes.context)
    pattern = config.integer("sliding_window_pattern", config.integer("_sliding_window_pattern", _PATTERN))
    return _spec(
        sizes,
        hf_layer_types(config, sizes.layers, every(pattern, sizes.layers)),
        full=RopeSpec(theta, sizes.head_dim, scaling=scaling),
        sliding=RopeSpec(theta_sliding, sizes.head_dim),
        scale=config.positive("query_pre_attn_scalar", 256.0) ** -0.5,
        window=config.integer("sliding_window", 4096),
        bias=config.boolean("attention_bias", False),
        final_softcap=config.number("final_logit_softcapping", None),
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
        if (full := new.child(FULL)) is not None:
            theta, scaling = full.number("rope_theta", theta), hf_scaling(full, context=context)
        if (sliding := new.child(SLIDING)) is not None:
            theta_sliding = sliding.number("rope_theta", theta_sliding)
            if hf_scaling(sliding, context=context) is not None:
                raise sliding.refusal("rope_type", sliding.string("rope_type"), "default")
    return theta, theta_sliding, scaling


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint, head_dim=256)
    config.only("attention.sliding_window_pattern", (_PATTERN,), f"{_PATTERN}")
    config.only("attn_logit_softcapping", (0.0,), "0 (none)")
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    per_head = sizes.hidden / max(1, sizes.heads) if sizes.layers == _LAYERS_27B else sizes.head_dim
    return _spec(
        sizes,
        every(_PATTERN, sizes.layers),
        full=RopeSpec(config.number("rope.freq_base", _THETA_FULL), sizes.head_dim, scaling=scaling),
        sliding=RopeSpec(config.number("rope.freq_base_swa", _THETA_SLIDING), sizes.head_dim),
        scale=max(1.0, per_head) ** -0.5,
        window=config.integer("attention.sliding_window"),
        bias="blk.0.attn_q.bias" in checkpoint.tensors,
        final_softcap=config.number("final_logit_softcapping", None) or None,
    )


def _spec(
    sizes: Sizes,
    types: tuple[str, ...],
    *,
    full: RopeSpec,
    sliding: RopeSpec,
    scale: float,
    window: int,
    bias: bool,
    final_softcap: float | None,
) -> ModelSpec:
    norm = NormSpec(sizes.eps, mul_in_fp32=True)

    def block(kind: str, mask: MaskSpec) -> BlockSpec:
        attention = replace(
            sizes.attention(full if kind == FULL else sliding),
            scale=scale,
            mask=mask,
            qk_norm=norm,
            qkv_bias=bias,
            out_bias=bias,
        )
        return BlockSpec(attention, MLPSpec(sizes.width, activation="gelu_tanh"), norm, placement="sandwich")

    blocks = map(block, types, masks(types, window))
    return sizes.model("gemma3", blocks, norm, embed_scale=sizes.hidden**0.5, final_softcap=final_softcap)


_ADD_ONE = Add(1.0)
"""Hugging Face files store norm weights without their 1; GGUF files store them with it."""

FAMILY = Family(
    name="gemma3",
    gguf_architectures=("gemma3",),
    hf_model_types=("gemma3_text",),
    hf_architectures=("Gemma3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(),
        *names.head_norms(_ADD_ONE),
        *names.MLP,
        *names.sandwich_norms(hf=_ADD_ONE),
    ),
    unused_tensors=(ROPE_DIVISORS,),
)
