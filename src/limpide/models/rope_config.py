"""Rope settings as checkpoints write them: Hugging Face's old and new keys, and GGUF's."""

from __future__ import annotations

import numpy as np

from limpide.core.errors import UnsupportedConfig
from limpide.formats import Checkpoint
from limpide.models.config import ConfigReader
from limpide.models.spec import (
    DivisorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    RopeScaling,
    YarnScaling,
)

ROPE_DIVISORS = "rope_freqs.weight"
ROPE_SHORT, ROPE_LONG = "rope_factors_short.weight", "rope_factors_long.weight"


def hf_rope(
    config: ConfigReader, *, theta: float, context: int, original: int | None = None, partial: bool = False
) -> tuple[float, RopeScaling | None]:
    """θ and scaling from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before).

    `theta` is the family's default, `original` the context before extension where the settings don't say it. With
    `partial` the family reads partial_rotary_factor itself. Raises UnsupportedConfig for a scaling that we don't know.
    """
    theta = config.number("rope_theta", theta)
    new, old = config.child("rope_parameters"), config.child("rope_scaling")
    if new is not None and old is not None:
        raise config.refusal("rope_scaling", "given", "not to be given beside rope_parameters")
    settings = new or old
    if settings is None:
        return theta, None
    if not partial:
        settings.only("partial_rotary_factor", (1.0,), "1 (rope on the whole head)")
    return settings.number("rope_theta", theta), hf_scaling(settings, context=context, original=original)


def hf_scaling(settings: ConfigReader, *, context: int, original: int | None = None) -> RopeScaling | None:
    """One mapping of rope settings as a scaling; None if it asks for none."""
    kind = settings.string("rope_type", None) or settings.string("type", "default")
    settings.only("type", (kind,), "the same as rope_type")
    if kind == "default":
        settings.harmless("original_max_position_embeddings")
        return None
    if kind == "linear":
        return LinearScaling(settings.positive("factor"))
    if kind == "llama3":
        return Llama3Scaling(
            factor=settings.positive("factor"),
            low_freq_factor=settings.positive("low_freq_factor"),
            high_freq_factor=settings.positive("high_freq_factor"),
            original_context=settings.integer("original_max_position_embeddings", context),
        )
    if kind == "yarn":
        return YarnScaling(
            factor=settings.positive("factor"),
            original_context=settings.integer("original_max_position_embeddings", context),
            beta_fast=settings.number("beta_fast", 32.0),
            beta_slow=settings.number("beta_slow", 1.0),
            attention_factor=settings.number("attention_factor", None),
            mscale=settings.number("mscale", None),
            mscale_all_dim=settings.number("mscale_all_dim", None),
            truncate=settings.boolean("truncate", True),
        )
    if kind in ("longrope", "su"):
        original = (
            settings.integer("original_max_position_embeddings")
            if original is None
            else settings.integer("original_max_position_embeddings", original)
        )
        return LongRopeScaling(
            short_factor=settings.numbers("short_factor"),
            long_factor=settings.numbers("long_factor"),
            original_context=original,
            factor=settings.number("factor", context / max(1, original)),
            attention_factor=settings.number("attention_factor", None),
        )
    raise settings.refusal("rope_type", kind, "default, linear, llama3, yarn or longrope")


def gguf_scaling(config: ConfigReader, checkpoint: Checkpoint, *, context: int) -> RopeScaling | None:
    """Scaling from GGUF's `rope.scaling.*` keys, or from its tensor of divisors."""
    kind = config.string("rope.scaling.type", "none")
    config.harmless("rope.scaling.finetuned")
    divisors = _divisors(checkpoint)
    if divisors is not None:
        if kind not in ("none", ""):
            raise config.refusal("rope.scaling.type", kind, f"none, since the file has {ROPE_DIVISORS}")
        return divisors
    if kind in ("none", ""):
        config.only("rope.scaling.factor", (0.0, 1.0), "1, since rope.scaling.type is none")
        config.harmless("rope.scaling.original_context_length")
        legacy = config.number("rope.scale_linear", 1.0)
        return None if legacy == 1.0 else LinearScaling(legacy)
    if kind == "linear":
        config.harmless("rope.scaling.original_context_length")
        return LinearScaling(config.positive("rope.scaling.factor"))
    if kind == "yarn":
        config.only("rope.scaling.yarn_ext_factor", (1.0,), "1")
        config.only("rope.scaling.yarn_attn_factor", (1.0,), "1")
        config.only("rope.scaling.attn_factor", (1.0,), "1")
        return YarnScaling(
            factor=config.positive("rope.scaling.factor"),
            original_context=config.integer("rope.scaling.original_context_length", context),
            beta_fast=config.number("rope.scaling.yarn_beta_fast", 32.0),
            beta_slow=config.number("rope.scaling.yarn_beta_slow", 1.0),
        )
    raise config.refusal("rope.scaling.type", kind, "none, linear or yarn")


def gguf_longrope(config: ConfigReader, checkpoint: Checkpoint, *, context: int) -> LongRopeScaling | None:
    """LongRoPE from its two tensors of divisors, or None if the file hasn't both."""
    short, long = (_numbers(checkpoint, name) for name in (ROPE_SHORT, ROPE_LONG))
    if short is None or long is None:
        return None
    original = config.integer("rope.scaling.original_context_length")
    config.only("rope.scaling.type", ("none", "longrope"), f"longrope, since the file has {ROPE_LONG}")
    return LongRopeScaling(
        short_factor=short,
        long_factor=long,
        original_context=original,
        factor=context / max(1, original),
        attention_factor=config.number("rope.scaling.attn_factor", None),
    )


def _divisors(checkpoint: Checkpoint) -> DivisorScaling | None:
    divisors = _numbers(checkpoint, ROPE_DIVISORS)
    return None if divisors is None else DivisorScaling(divisors)


def _numbers(checkpoint: Checkpoint, name: str) -> tuple[float, ...] | None:
    """A small tensor that is part of the description rather than of the weights."""
    info = checkpoint.tensors.get(name)
    if info is None:
        return None
    if info.format != "F32" or len(info.shape) != 1:
        raise UnsupportedConfig(
            f"{name} is stored as {info.format} {list(info.shape)}", expected="one row of F32 numbers"
        )
    return tuple(checkpoint.raw(name).view(np.float32).tolist())
