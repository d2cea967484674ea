"""Llama 2 and 3.x, and every model that is one by another name: SmolLM2, Reka Flash 3, R1-Distill-Llama."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=2048)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.only("rope_interleaved", (False,), "false (halves of a head rotate against each other)")
    attention_bias = config.boolean("attention_bias", False)
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        qkv_bias=attention_bias,
        out_bias=attention_bias,
        mlp_bias=config.boolean("mlp_bias", False),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. Biases show only in which tensors there are."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    return _spec(
        sizes,
        RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling),
        qkv_bias="blk.0.attn_q.bias" in checkpoint.tensors,
        out_bias="blk.0.attn_output.bias" in checkpoint.tensors,
        mlp_bias="blk.0.ffn_up.bias" in checkpoint.tensors,
    )


def _spec(sizes: Sizes, rope: RopeSpec, *, qkv_bias: bool, out_bias: bool, mlp_bias: bool) -> ModelSpec:
    norm = NormSpec(sizes.eps)
    attention = replace(sizes.attention(rope), qkv_bias=qkv_bias, out_bias=out_bias)
    block = BlockSpec(attention, MLPSpec(sizes.width, bias=mlp_bias), norm)
    return sizes.model("llama", (block,) * sizes.layers, norm)


FAMILY = Family(
    name="llama",
    gguf_architectures=("llama",),
    hf_model_types=("llama",),
    hf_architectures=("LlamaForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(interleaved_gguf=True), *names.MLP, *names.norms()),
    unused_tensors=(ROPE_DIVISORS, "model.layers.*.self_attn.rotary_emb.inv_freq"),
)
