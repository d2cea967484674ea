"""The few numbers of a model that its memory and speed follow from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limpide.hub import kept
from limpide.hub.kept import LIMIT, MOST_LAYERS, whole


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a decoder-only transformer."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    """Of one expert, where there are experts."""
    vocabulary: int
    parameters: int
    experts: int = 0
    experts_used: int = 0
    kept_per_token: int | None = None
    """Numbers that the cache holds of a token, over all layers. None: keys and values of each layer, all alike."""
    carried: int = 0
    """Numbers that recurrent layers carry along a sequence."""

    @property
    def cache_values_per_token(self) -> int:
        """Numbers that the key-value cache keeps for each token."""
        if self.kept_per_token is not None:
            return self.kept_per_token
        return 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def idle_parameters(self) -> int:
        """Those that a token doesn't need: the experts that are not chosen for it."""
        if not self.experts or not self.experts_used:
            return 0
        return round(self.routed_parameters * (1 - self.experts_used / self.experts))

    @property
    def routed_parameters(self) -> int:
        """Those of all experts between which a router chooses."""
        routed = 3 * self.layers * self.experts * self.hidden * self.feed_forward
        return min(routed, self.parameters - self.vocabulary * self.hidden)


def shape_from_config(config: Mapping[str, Any], parameters: int) -> ModelShape | None:
    """Read a GGUF header's or a config.json's numbers. None if they are not there or make no sense."""
    return _from_gguf(config, parameters) if "general.architecture" in config else _from_json(config, parameters)


def context_from_config(config: Mapping[str, Any]) -> int | None:
    """Tokens that the model was trained to hold, if the config says so."""
    if "general.architecture" in config:
        return whole(config.get(f"{config['general.architecture']}.context_length"))
    return whole(text_config(config).get("max_position_embeddings"))


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config.json that describes the language model, where it has others too."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _mean(value: Any) -> int | None:
    """A number per model, or one per layer (zero where a layer has none): the mean of the others."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        numbers = [v for v in value if isinstance(v, int) and 0 < v < LIMIT]
        return round(sum(numbers) / len(numbers)) if numbers else None
    return whole(value)


def _from_gguf(config: Mapping[str, Any], parameters: int) -> ModelShape | None:
    prefix = f"{config['general.architecture']}."
    numbers = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    tokens = config.get("tokenizer.ggml.tokens")
    heads = _mean(numbers.get("attention.head_count"))
    hidden, layers = whole(numbers.get("embedding_length")), whole(numbers.get("block_count"))
    if not (layers and hidden and heads) or layers > MOST_LAYERS:
        return None
    experts = whole(numbers.get("expert_count")) or 0
    width = _mean(numbers.get("expert_feed_forward_length")) if experts else None
    kv_heads = _mean(numbers.get("attention.head_count_kv")) or heads
    head_dim = whole(numbers.get("attention.key_length")) or max(1, hidden // heads)
    return _shape(
        kept.from_gguf(numbers, layers, kv_heads, head_dim),
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        feed_forward=width or _mean(numbers.get("feed_forward_length")) or 4 * hidden,
        vocabulary=whole(numbers.get("vocab_size")) or (len(tokens) if tokens is not None else 0),
        parameters=parameters,
        experts=experts,
        experts_used=whole(numbers.get("expert_used_count")) or 0,
    )


def _from_json(config: Mapping[str, Any], parameters: int) -> ModelShape | None:
    config = text_config(config)

    def number(*names: str) -> int | None:
        return next((found for name in names if (found := whole(config.get(name)))), None)

    layers, hidden = number("num_hidden_layers", "n_layer"), number("hidden_size", "n_embd")
    heads = number("num_attention_heads", "n_head")
    if not (layers and hidden and heads) or layers > MOST_LAYERS:
        return None
    experts = number("num_local_experts", "num_experts", "n_routed_experts") or 0
    width = number("moe_intermediate_size") if experts else None
    kv_heads = number("num_key_value_heads") or heads
    head_dim = number("head_dim") or max(1, hidden // heads)
    return _shape(
        kept.from_json(config, layers, kv_heads, head_dim),
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        feed_forward=width or number("intermediate_size", "n_inner") or 4 * hidden,
        vocabulary=number("vocab_size") or 0,
        parameters=parameters,
        experts=experts,
        experts_used=number("num_experts_per_tok", "top_k_experts") or 0,
    )


def _shape(found: kept.Kept, **sizes: int) -> ModelShape:
    plain = ModelShape(**sizes, carried=found.carried)
    if found.per_token == plain.cache_values_per_token:
        return plain
    return ModelShape(**sizes, kept_per_token=found.per_token, carried=found.carried)
