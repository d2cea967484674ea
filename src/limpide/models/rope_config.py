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


def hf_rope(config: ConfigReader, *, theta: float, context: int) -> tuple[float, RopeScaling | None]:
    """θ and scaling from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before).

    `theta` is the family's default. Raises UnsupportedConfig for a scaling that we don't know.
    """
    theta = config.number("rope_theta", theta)
    new, old = config.child("rope_parameters"), config.child("rope_scaling")
    if new is not None and old is not None:
        raise config.refusal("rope_scaling", "given", "not to be given beside rope_parameters")
    settings = new or old
    if settings is None:
        return theta, None
    return settings.number("rope_theta", theta), hf_scaling(settings, context=context)


def hf_scaling(settings: ConfigReader, *, context: int) -> RopeScaling | None:
    """One mapping of rope settings as a scaling; None if it asks for none."""
    kind = settings.string("rope_type", None) or settings.string("type", "default")
    settings.only("type", (kind,), "the same as rope_type")
    settings.only("partial_rotary_factor", (1.0,), "1 (rope on the whole head)")
    if kind == "default":
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
        original = settings.integer("original_max_position_embeddings")
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


def _divisors(checkpoint: Checkpoint) -> DivisorScaling | None:
    info = checkpoint.tensors.get(ROPE_DIVISORS)
    if info is None:
        return None
    if info.format != "F32" or len(info.shape) != 1:
        raise UnsupportedConfig(
            f"{ROPE_DIVISORS} is stored as {info.format} {list(info.shape)}", expected="one row of F32 numbers"
        )
    return DivisorScaling(tuple(checkpoint.raw(ROPE_DIVISORS).view(np.float32).tolist()))
