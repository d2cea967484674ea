"""Mistral 7B, Nemo, Small and Magistral, Ministral, Ministral 3: Llama with windows, or with cooling queries.

GGUF files of most of them call themselves `llama`; those of Mistral Small 3.1 and Ministral 3 `mistral3`.
"""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.layer_types import FULL, SLIDING, hf_layer_types, masks
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    MaskSpec,
    MLPSpec,
    ModelSpec,
    NormSpec,
    QueryTemperature,
    RopeSpec,
    YarnScaling,
)

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    third = config.string("model_type", "mistral") == "ministral3"
    sizes = hf_sizes(config, context=262144 if third else 131072, eps=1e-5 if third else 1e-6)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    rope = RopeSpec(theta, sizes.head_dim, scaling=scaling)
    return _spec(sizes, rope, _hf_masks(config, sizes.layers, None if third else 4096), _hf_temperature(config, third))


def _hf_masks(config: ConfigReader, layers: int, default: int | None) -> tuple[MaskSpec, ...]:
    """A window on every layer if there is one, unless the layers are listed."""
    window = None if config.is_null("sliding_window") else config.integer("sliding_window", default)
    types = (FULL if window is None else SLIDING,) * layers
    return masks(hf_layer_types(config, layers, types), window)


def _hf_temperature(config: ConfigReader, third: bool) -> QueryTemperature | None:
    settings = config.child("rope_parameters") or config.child("rope_scaling")
    if not third:
        return None
    if settings is None:
        raise config.refusal("rope_parameters", None, "the rope settings of a Ministral 3 model")
    settings.only("max_position_embeddings", (config.integer("max_position_embeddings", 262144),), "the model's own")
    beta = settings.number("llama_4_scaling_beta")
    return QueryTemperature(beta, settings.integer("original_max_position_embeddings"))


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    log_multiplier = config.number("rope.scaling.yarn_log_multiplier", 0.0)
    if log_multiplier and isinstance(scaling, YarnScaling):
        scaling = replace(scaling, mscale=1.0, mscale_all_dim=log_multiplier)
    beta, temperature = config.number("attention.temperature_scale", 0.0), None
    if beta:
        temperature = QueryTemperature(beta, config.integer("rope.scaling.original_context_length"))
        config.only(
            "attention.temperature_length", (temperature.period,), f"{temperature.period}, the original context"
        )
    rope = RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling)
    return _spec(sizes, rope, (MaskSpec(),) * sizes.layers, temperature)


def _spec(sizes: Sizes, rope: RopeSpec, masks: tuple[MaskSpec, ...], temperature: QueryTemperature | None) -> ModelSpec:
    norm = NormSpec(sizes.eps)

    def block(mask: MaskSpec) -> BlockSpec:
        attention = replace(sizes.attention(rope), mask=mask, q_temperature=temperature)
        return BlockSpec(attention, MLPSpec(sizes.width), norm)

    return sizes.model("mistral", map(block, masks), norm)


FAMILY = Family(
    name="mistral",
    gguf_architectures=("mistral3",),
    hf_model_types=("mistral", "ministral", "ministral3"),
    hf_architectures=("MistralForCausalLM", "MinistralForCausalLM", "Ministral3ForCausalLM"),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(interleaved_gguf=True), *names.MLP, *names.norms()),
    unused_tensors=(ROPE_DIVISORS,),
)
