"""The few numbers of a model that its memory and speed follow from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LIMIT = 1 << 40  # numbers in a stranger's header beyond this are nonsense, and would only make nonsense predictions


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a decoder-only transformer. `kv_heads` is the mean over layers where layers differ."""

    layers: int
    hidden: int
    heads: int
    kv_heads: float
    head_dim: int
    feed_forward: int
    vocabulary: int
    parameters: int
    experts: int = 0
    experts_used: int = 0

    @property
    def cache_values_per_token(self) -> int:
        """Numbers that the key-value cache keeps for each token."""
        return round(2 * self.layers * self.kv_heads * self.head_dim)


def shape_from_config(config: Mapping[str, Any], parameters: int) -> ModelShape | None:
    """Read a GGUF header's or a config.json's numbers. None if they are not there or make no sense."""
    return _from_gguf(config, parameters) if "general.architecture" in config else _from_json(config, parameters)


def context_from_config(config: Mapping[str, Any]) -> int | None:
    """Tokens that the model was trained to hold, if the config says so."""
    if "general.architecture" in config:
        return _whole(config.get(f"{config['general.architecture']}.context_length"))
    return _whole(_text_config(config).get("max_position_embeddings"))


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _LIMIT:
        return None
    return value


def _mean(value: Any) -> float | None:
    """A number per model, or one per layer (zero where a layer keeps no keys)."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        numbers = [v for v in value if isinstance(v, int) and 0 <= v < _LIMIT]
        return sum(numbers) / len(numbers) if numbers and len(numbers) == len(value) else None
    return _whole(value)


def _from_gguf(config: Mapping[str, Any], parameters: int) -> ModelShape | None:
    family = config["general.architecture"]

    def number(key: str) -> int | None:
        return _whole(config.get(f"{family}.{key}"))

    tokens = config.get("tokenizer.ggml.tokens")
    heads = _mean(config.get(f"{family}.attention.head_count"))
    hidden = number("embedding_length")
    layers = number("block_count")
    if not (layers and hidden and heads):
        return None
    feed_forward = _mean(config.get(f"{family}.feed_forward_length"))
    return ModelShape(
        layers=layers,
        hidden=hidden,
        heads=round(heads),
        kv_heads=_mean(config.get(f"{family}.attention.head_count_kv")) or heads,
        head_dim=number("attention.key_length") or max(1, hidden // max(1, round(heads))),
        feed_forward=round(feed_forward) if feed_forward else 4 * hidden,
        vocabulary=number("vocab_size") or (len(tokens) if tokens is not None else 0),
        parameters=parameters,
        experts=number("expert_count") or 0,
        experts_used=number("expert_used_count") or 0,
    )


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _from_json(config: Mapping[str, Any], parameters: int) -> ModelShape | None:
    config = _text_config(config)
    layers = _whole(config.get("num_hidden_layers"))
    hidden = _whole(config.get("hidden_size"))
    heads = _whole(config.get("num_attention_heads"))
    if not (layers and hidden and heads):
        return None
    return ModelShape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_whole(config.get("num_key_value_heads")) or heads,
        head_dim=_whole(config.get("head_dim")) or max(1, hidden // heads),
        feed_forward=_whole(config.get("intermediate_size")) or 4 * hidden,
        vocabulary=_whole(config.get("vocab_size")) or 0,
        parameters=parameters,
        experts=_whole(config.get("num_local_experts")) or _whole(config.get("num_experts")) or 0,
        experts_used=_whole(config.get("num_experts_per_tok")) or 0,
    )
