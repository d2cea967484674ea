"""Mixtral: Mistral with a mixture of experts in each block. GGUF calls it llama."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    MaskSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeSpec,
    RouterSpec,
)


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=131072, eps=1e-5)
    theta, scaling = hf_rope(config, theta=1e6, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.harmless(*experts.HF_TRAINING)
    window = config.integer("sliding_window", 0)
    return _spec(
        sizes,
        RopeSpec(theta, sizes.head_dim, scaling=scaling),
        MaskSpec("window", window) if window else MaskSpec(),
        RouterSpec(config.integer("num_local_experts", 8), config.integer("num_experts_per_tok", 2)),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint, experts=True)
    experts.refuse_gguf_variations(config, renormalise=True)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    return _spec(
        sizes,
        RopeSpec(config.number("rope.freq_base", 10000.0), sizes.head_dim, scaling=scaling),
        MaskSpec(),
        RouterSpec(config.integer("expert_count"), config.integer("expert_used_count")),
    )


def _spec(sizes: Sizes, rope: RopeSpec, mask: MaskSpec, router: RouterSpec) -> ModelSpec:
    norm = NormSpec(sizes.eps)
    attention = replace(sizes.attention(rope), mask=mask)
    block = BlockSpec(attention, MoESpec(router, MLPSpec(sizes.width)), norm)
    return sizes.model("mixtral", (block,) * sizes.layers, norm)


def _has_experts(config: Mapping[str, Any]) -> bool:
    count = config.get("llama.expert_count", 0)
    return isinstance(count, int) and count > 0


FAMILY = Family(
    name="mixtral",
    gguf_architectures=("llama",),
    hf_model_types=("mixtral",),
    hf_architectures=("MixtralForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    claims=_has_experts,
    tensors=(
        *names.OUTER,
        *names.attention(interleaved_gguf=True),
        *names.norms(),
        *experts.router("model.layers.{b}.block_sparse_moe.gate"),
        *experts.apart("model.layers.{b}.block_sparse_moe.experts", gate="w1", up="w3", down="w2"),
    ),
    unused_tensors=(ROPE_DIVISORS,),
)
