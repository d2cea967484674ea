"""Gemma 2: Gemma with norms around each sublayer, soft caps, and a window on every other layer."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.layer_types import every, hf_layer_types, masks
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec
from limpide.models.transforms import Add

_THETA = 10000.0
_STEP = 2
"""Every other layer sees everything, the second first. GGUF files don't say so."""
_WINDOW = 4096
_ATTENTION_SOFTCAP, _FINAL_SOFTCAP = 50.0, 30.0
_LAYERS_27B = 46
"""The 27B model scales by its embedding, not its heads; GGUF files show that only by the number of layers."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=8192, tied=True, head_dim=256)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_activation", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("hidden_act", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("use_bidirectional_attention", (False,), "false")
    types = hf_layer_types(config, sizes.layers, every(_STEP, sizes.layers))
    window = config.integer("sliding_window", _WINDOW)
    config.only("sliding_window_size", (window,), f"{window}, like sliding_window")
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        masks(types, window),
        scale=config.positive("query_pre_attn_scalar", 256.0) ** -0.5,
        softcap=_hf_softcap(config, "attn_logit_softcapping", _ATTENTION_SOFTCAP),
        final_softcap=_hf_softcap(config, "final_logit_softcapping", _FINAL_SOFTCAP),
        bias=config.boolean("attention_bias", False),
    )


def _hf_softcap(config: ConfigReader, key: str, default: float) -> float | None:
    return None if config.is_null(key) else config.number(key, default)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    config.only("attention.sliding_window_pattern", (_STEP,), f"{_STEP}")
    per_head = sizes.hidden / max(1, sizes.heads) if sizes.layers == _LAYERS_27B else sizes.head_dim
    return _spec(
        sizes,
        RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling),
        masks(every(_STEP, sizes.layers), config.integer("attention.sliding_window", _WINDOW)),
        scale=max(1.0, per_head) ** -0.5,
        softcap=config.number("attn_logit_softcapping", _ATTENTION_SOFTCAP) or None,
        final_softcap=config.number("final_logit_softcapping", _FINAL_SOFTCAP) or None,
        bias="blk.0.attn_q.bias" in checkpoint.tensors,
    )


def _spec(
    sizes: Sizes,
    rope: RopeSpec,
    masks: tuple[MaskSpec, ...],
    *,
    scale: float,
    softcap: float | None,
    final_softcap: float | None,
    bias: bool,
) -> ModelSpec:
    norm = NormSpec(sizes.eps, mul_in_fp32=True)

    def block(mask: MaskSpec) -> BlockSpec:
        attention = replace(
            sizes.attention(rope), scale=scale, mask=mask, softcap=softcap, qkv_bias=bias, out_bias=bias
        )
        return BlockSpec(attention, MLPSpec(sizes.width, activation="gelu_tanh"), norm, placement="sandwich")

    return sizes.model("gemma2", map(block, masks), norm, embed_scale=sizes.hidden**0.5, final_softcap=final_softcap)


FAMILY = Family(
    name="gemma2",
    gguf_architectures=("gemma2",),
    hf_model_types=("gemma2",),
    hf_architectures=("Gemma2ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(), *names.MLP, *names.sandwich_norms(hf=Add(1.0))),
    unused_tensors=(ROPE_DIVISORS,),
)
