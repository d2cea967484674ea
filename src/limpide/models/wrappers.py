"""Multimodal checkpoints: the text model inside them, as if it had been stored alone.

What the text model computes does not depend on the towers beside it, so these are left out by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpide.core.errors import UnsupportedArchitecture, UnsupportedConfig
from limpide.formats import Checkpoint
from limpide.models.config import ConfigReader
from limpide.models.quantization import KEY
from limpide.models.renamed import renamed

WRAPPERS: dict[str, str] = {
    "gemma3": "Gemma3ForConditionalGeneration",
    "gemma4": "Gemma4ForConditionalGeneration",
    "llama4": "Llama4ForConditionalGeneration",
    "mistral3": "Mistral3ForConditionalGeneration",
    "qwen3_5": "Qwen3_5ForConditionalGeneration",
    "qwen3_5_moe": "Qwen3_5MoeForConditionalGeneration",
}
"""model_type and architecture of checkpoints whose `text_config` is that of a family of ours."""

_PREFIXES = (
    ("model.language_model.", "model."),
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
)
"""Where the text model's tensors lie, in files of different ages."""
_TOWERS = tuple(
    f"{before}{tower}.*"
    for before in ("", "model.")
    for tower in (
        "vision_tower",
        "vision_model",
        "audio_tower",
        "multi_modal_projector",
        "visual",
        "embed_vision",
        "embed_audio",
    )
)
_HARMLESS = frozenset({
    "text_config", "vision_config", "audio_config", "model_type", "tie_word_embeddings",
    "image_token_index", "image_token_id", "boi_token_index", "boi_token_id", "eoi_token_index", "eoi_token_id",
    "audio_token_id", "boa_token_id", "eoa_token_id", "eoa_token_index", "video_token_id",
    "mm_tokens_per_image", "vision_soft_tokens_per_image", "projector_hidden_act", "multimodal_projector_bias",
    "vision_start_token_id", "vision_end_token_id", "spatial_merge_size", "vision_feature_layer", "language_model_only",
})  # fmt: skip
"""Keys beside `text_config` that say nothing of text."""


def unwrapped(checkpoint: Checkpoint) -> Checkpoint:
    """The text model of a multimodal checkpoint; any other checkpoint is returned as it is.

    Raises UnsupportedArchitecture, or UnsupportedConfig for a key that may change what the text model computes.
    """
    config = checkpoint.config
    architecture = WRAPPERS.get(str(config.get("model_type"))) if checkpoint.kind == "safetensors" else None
    if architecture is None or "text_config" not in config:
        return checkpoint
    written = config.get("architectures")
    if written is not None and (not isinstance(written, list) or architecture not in written):
        raise UnsupportedArchitecture(
            f"this checkpoint has architectures {written!r}, which we can't compute", expected=architecture
        )
    outer = ConfigReader(config, "config.json")
    outer.finish_hf(harmless=_HARMLESS | {KEY})
    inner = config["text_config"]
    if not isinstance(inner, Mapping):
        raise outer.refusal("text_config", inner, "a mapping")
    text = renamed(checkpoint, _PREFIXES, left_out=_TOWERS)
    tied = _tied(config, inner, stored=any(name.startswith("lm_head.") for name in text.tensors))
    alone = {key: value for key, value in inner.items() if key != "architectures"} | {"tie_word_embeddings": tied}
    if KEY in config:
        alone[KEY] = config[KEY]
    return renamed(text, (), config=alone)


def _tied(outer: Mapping[str, Any], inner: Mapping[str, Any], *, stored: bool) -> bool:
    """Whether the output matrix is the embedding: an outer true is often only a default, so a stored matrix wins.

    The text model's own word counts where nothing is said outside.
    """
    said: list[bool] = []
    for where, config in (("", outer), ("text_config: ", inner)):
        value = config.get("tie_word_embeddings")
        if value is not None and not isinstance(value, bool):
            raise UnsupportedConfig(f"config.json: {where}tie_word_embeddings is {value!r}", expected="true or false")
        said += [] if value is None else [value]
    return not stored and (not said or said[0])
