"""Qwen3, dense: no biases, a norm on each head's queries and keys, and a head size of its own."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.qwen2 import hf_masks
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=32768, head_dim=128)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    bias = config.boolean("attention_bias", False)
    return _spec(sizes, RopeSpec(theta, sizes.head_dim, scaling=scaling), hf_masks(config, sizes.layers), bias=bias)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    rope = RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling)
    bias = "blk.0.attn_q.bias" in checkpoint.tensors
    return _spec(sizes, rope, (MaskSpec(),) * sizes.layers, bias=bias)


def _spec(sizes: Sizes, rope: RopeSpec, masks: tuple[MaskSpec, ...], *, bias: bool) -> ModelSpec:
    norm = NormSpec(sizes.eps)

    def block(mask: MaskSpec) -> BlockSpec:
        attention = replace(sizes.attention(rope), mask=mask, qk_norm=norm, qkv_bias=bias, out_bias=bias)
        return BlockSpec(attention, MLPSpec(sizes.width), norm)

    return sizes.model("qwen3", map(block, masks), norm)


FAMILY = Family(
    name="qwen3",
    gguf_architectures=("qwen3",),
    hf_model_types=("qwen3",),
    hf_architectures=("Qwen3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(), *names.head_norms(), *names.MLP, *names.norms()),
    unused_tensors=(ROPE_DIVISORS,),
)
