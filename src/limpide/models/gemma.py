"""Gemma 1: Llama with GeGLU, a scaled embedding and norm weights that are stored without their 1."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec
from limpide.models.transforms import Add

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=8192, tied=True, head_dim=256)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    # the first files say "gelu" and mean its approximation, which they were trained with
    config.only("hidden_act", ("gelu", "gelu_pytorch_tanh"), "gelu_pytorch_tanh")
    config.only("hidden_activation", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    config.only("use_bidirectional_attention", (False,), "false")
    bias = config.boolean("attention_bias", False)
    return _spec(sizes, RopeSpec(theta, sizes.head_dim, scaling=scaling), bias=bias)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    rope = RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling)
    return _spec(sizes, rope, bias="blk.0.attn_q.bias" in checkpoint.tensors)


def _spec(sizes: Sizes, rope: RopeSpec, *, bias: bool) -> ModelSpec:
    norm = NormSpec(sizes.eps, mul_in_fp32=True)
    block = BlockSpec(
        attention=replace(sizes.attention(rope), qkv_bias=bias, out_bias=bias),
        feed_forward=MLPSpec(sizes.width, activation="gelu_tanh"),
        norm=norm,
    )
    return sizes.model("gemma", (block,) * sizes.layers, norm, embed_scale=sizes.hidden**0.5)


FAMILY = Family(
    name="gemma",
    gguf_architectures=("gemma",),
    hf_model_types=("gemma",),
    hf_architectures=("GemmaForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(), *names.MLP, *names.norms(hf=Add(1.0))),
    unused_tensors=(ROPE_DIVISORS,),
)
