"""Granite's mixtures of experts, with and without an expert that every token uses."""

from __future__ import annotations

from limpide.formats import Checkpoint
from limpide.models import experts, granite, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import ROPE_DIVISORS, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import MLPSpec, ModelSpec, MoESpec, RopeSpec, RouterSpec


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=2048)
    theta, scaling = hf_rope(config, theta=granite.THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.harmless(*experts.HF_TRAINING)
    return granite.equal_blocks(
        "granite_moe",
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        granite.hf_multipliers(config),
        _experts(
            sizes,
            count=config.integer("num_local_experts", 8),
            chosen=config.integer("num_experts_per_tok", 2),
            shared=config.integer("shared_intermediate_size", 0),
        ),
        attention_bias=config.boolean("attention_bias", False),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint, experts=True)
    experts.refuse_gguf_variations(config, renormalise=True)
    return granite.equal_blocks(
        "granite_moe",
        sizes,
        granite.gguf_rope(config, checkpoint, sizes),
        granite.gguf_multipliers(config, sizes),
        _experts(
            sizes,
            count=config.integer("expert_count"),
            chosen=config.integer("expert_used_count"),
            shared=config.integer("expert_shared_feed_forward_length", 0),
        ),
        attention_bias="blk.0.attn_q.bias" in checkpoint.tensors,
    )


def _experts(sizes: Sizes, *, count: int, chosen: int, shared: int) -> MoESpec:
    router = RouterSpec(count, chosen, order="topk_then_score")
    return MoESpec(router, MLPSpec(sizes.width), shared=MLPSpec(shared) if shared else None)


_LAYER = "model.layers.{b}"

FAMILY = Family(
    name="granite_moe",
    gguf_architectures=("granitemoe",),
    hf_model_types=("granitemoe", "granitemoeshared"),
    hf_architectures=("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(interleaved_gguf=True),
        *names.norms(),
        *experts.router(f"{_LAYER}.block_sparse_moe.router.layer"),
        *experts.joined(
            f"{_LAYER}.block_sparse_moe.input_linear.weight", f"{_LAYER}.block_sparse_moe.output_linear.weight"
        ),
        *experts.shared_joined(f"{_LAYER}.shared_mlp.input_linear", f"{_LAYER}.shared_mlp.output_linear"),
    ),
    unused_tensors=(ROPE_DIVISORS,),
)
