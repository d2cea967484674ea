"""Granite 3 and the dense models of Granite 4: Llama with four multipliers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MLPSpec, ModelSpec, MoESpec, NormSpec, RopeSpec

THETA = 10000.0
_SSM = ("conv_kernel", "state_size", "group_count", "inner_size", "time_step_rank")


@dataclass(frozen=True, slots=True)
class Multipliers:
    """What is multiplied where. `logits` divides."""

    attention: float
    embedding: float
    residual: float
    logits: float


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=2048)
    theta, scaling = hf_rope(config, theta=THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    return dense(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        hf_multipliers(config),
        attention_bias=config.boolean("attention_bias", False),
        mlp_bias=config.boolean("mlp_bias", False),
    )


def hf_multipliers(config: ConfigReader) -> Multipliers:
    """The multipliers in a config.json."""
    return Multipliers(
        attention=config.number("attention_multiplier", 1.0),
        embedding=config.number("embedding_multiplier", 1.0),
        residual=config.number("residual_multiplier", 1.0),
        logits=config.positive("logits_scaling", 1.0),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    # dense models of Granite 4 are converted by the rules of its hybrids, and keep their keys
    config.harmless(*(f"ssm.{key}" for key in _SSM))
    config.only("expert_shared_feed_forward_length", (sizes.width,), f"{sizes.width}, like feed_forward_length")
    return dense(
        sizes,
        gguf_rope(config, checkpoint, sizes),
        gguf_multipliers(config, sizes),
        attention_bias="blk.0.attn_q.bias" in checkpoint.tensors,
        mlp_bias="blk.0.ffn_up.bias" in checkpoint.tensors,
    )


def gguf_rope(config: ConfigReader, checkpoint: Checkpoint, sizes: Sizes) -> RopeSpec | None:
    """Rope, unless a key of another meaning says that there is none."""
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    rope = RopeSpec(config.number("rope.freq_base", THETA), sizes.head_dim, scaling=scaling)
    return rope if config.boolean("rope.scaling.finetuned", True) else None


def gguf_multipliers(config: ConfigReader, sizes: Sizes) -> Multipliers:
    """The multipliers in GGUF metadata. 0 stands for none."""
    return Multipliers(
        attention=config.number("attention.scale", 0.0) or sizes.head_dim**-0.5,
        embedding=config.number("embedding_scale", 0.0) or 1.0,
        residual=config.number("residual_scale", 0.0) or 1.0,
        logits=config.positive("logit_scale"),
    )


def dense(
    sizes: Sizes, rope: RopeSpec | None, multipliers: Multipliers, *, attention_bias: bool, mlp_bias: bool
) -> ModelSpec:
    """A model of equal blocks, each attention and an MLP."""
    mlp = MLPSpec(sizes.width, bias=mlp_bias)
    return equal_blocks("granite", sizes, rope, multipliers, mlp, attention_bias=attention_bias)


def equal_blocks(
    family: str,
    sizes: Sizes,
    rope: RopeSpec | None,
    multipliers: Multipliers,
    feed_forward: MLPSpec | MoESpec,
    *,
    attention_bias: bool,
) -> ModelSpec:
    """A model of equal blocks, with the multipliers at their places."""
    norm = NormSpec(sizes.eps)
    block = BlockSpec(
        attention=replace(
            sizes.attention(rope), scale=multipliers.attention, qkv_bias=attention_bias, out_bias=attention_bias
        ),
        feed_forward=feed_forward,
        norm=norm,
        residual_scale=multipliers.residual,
    )
    return sizes.model(
        family,
        (block,) * sizes.layers,
        norm,
        embed_scale=multipliers.embedding,
        logit_scale=1.0 / multipliers.logits,
    )


FAMILY = Family(
    name="granite",
    gguf_architectures=("granite",),
    hf_model_types=("granite",),
    hf_architectures=("GraniteForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(interleaved_gguf=True), *names.MLP, *names.norms()),
    unused_tensors=(ROPE_DIVISORS,),
)
