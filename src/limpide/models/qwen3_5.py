"""Qwen3.5, the text part: Qwen3-Next with projections of their own, dense or with experts."""

from __future__ import annotations

from limpide.formats import Checkpoint
from limpide.models import qwen3_next
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.recurrent import deltanet
from limpide.models.spec import MLPSpec, ModelSpec


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    parts = qwen3_next.hf_parts(config)
    config.harmless("mlp_only_layers")
    feed_forward = qwen3_next.hf_experts(config) if "num_experts" in config else MLPSpec(parts.sizes.width)
    return parts.model("qwen3_5", (feed_forward,) * parts.sizes.layers)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. Value heads are in another order there."""
    with_experts = "expert_count" in config
    parts = qwen3_next.gguf_parts(config, checkpoint, tiled=True, with_experts=with_experts)
    width = parts.sizes.width
    feed_forward = qwen3_next.gguf_experts(config, width) if with_experts else MLPSpec(width)
    return parts.model("qwen3_5", (feed_forward,) * parts.sizes.layers)


FAMILY = Family(
    name="qwen3_5",
    gguf_architectures=("qwen35", "qwen35moe"),
    hf_model_types=("qwen3_5_text", "qwen3_5_moe_text"),
    hf_architectures=("Qwen3_5ForCausalLM", "Qwen3_5MoeForCausalLM"),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *deltanet("model.layers.{b}.linear_attn", stacked=False),
        *qwen3_next.AROUND,
        *qwen3_next.EXPERTS,
    ),
    unused_tensors=qwen3_next.UNUSED,
)
