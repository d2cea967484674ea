"""Mistral Small 4: latent attention whose queries cool with their position, and experts in every layer."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import latent
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import gguf_scaling, hf_rope
from limpide.models.spec import ModelSpec, QueryTemperature, YarnScaling

_BETA = 0.1
"""Of the temperature: files converted from folders don't say it."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    context = config.integer("max_position_embeddings", 1048576)
    theta, scaling = hf_rope(config, theta=10000.0, context=context, partial=True)
    settings = config.child("rope_parameters")
    if settings is None:
        raise config.refusal("rope_parameters", None, "the rope settings of a Mistral 4 model")
    rope = config.integer("qk_rope_head_dim")
    share = rope / max(1, config.integer("qk_nope_head_dim") + rope)
    settings.only("partial_rotary_factor", (share,), f"{share}, the part of a head that qk_rope_head_dim is")
    settings.only("max_position_embeddings", (context,), "the model's own")
    temperature = QueryTemperature(
        settings.number("llama_4_scaling_beta"), settings.integer("original_max_position_embeddings")
    )
    config.only("topk_method", (), "nothing")
    attention = latent.hf_attention(config, theta, scaling, temperature)
    return latent.hf_model("mistral4", config, attention, score="softmax", choice_bias=False)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    scaling = gguf_scaling(config, checkpoint, context=config.integer("context_length"))
    temperature = None
    if isinstance(scaling, YarnScaling):
        magnitude = config.number("rope.scaling.yarn_log_multiplier", 0.1) * 10
        scaling = replace(scaling, mscale=1.0, mscale_all_dim=magnitude)
        period = config.integer("attention.temperature_length", scaling.original_context)
        temperature = QueryTemperature(config.number("attention.temperature_scale", _BETA), period)
    attention = latent.gguf_attention(config, checkpoint, scaling, temperature)
    return latent.gguf_model("mistral4", config, checkpoint, attention, score="softmax")


FAMILY = Family(
    name="mistral4",
    gguf_architectures=("mistral4",),
    hf_model_types=("mistral4",),
    hf_architectures=("Mistral4ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=latent.TENSORS,
)
