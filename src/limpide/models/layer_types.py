"""Layers that see everything and layers that see a window, as config.json lists them."""

from __future__ import annotations

from limpide.models.config import ConfigReader
from limpide.models.spec import MaskSpec

SLIDING, FULL = "sliding_attention", "full_attention"


def every(step: int, layers: int) -> tuple[str, ...]:
    """Each `step`-th layer sees everything, the others a window."""
    return tuple(FULL if (index + 1) % max(1, step) == 0 else SLIDING for index in range(layers))


def hf_layer_types(config: ConfigReader, layers: int, default: tuple[str, ...]) -> tuple[str, ...]:
    """`layer_types`, one per layer. Raises UnsupportedConfig for types that we don't know."""
    types = config.strings("layer_types") or default
    if len(types) != layers or not set(types) <= {SLIDING, FULL}:
        raise config.refusal("layer_types", list(types), f"{layers} times {SLIDING} or {FULL}")
    return types


def masks(types: tuple[str, ...], window: int | None) -> tuple[MaskSpec, ...]:
    """What each layer sees. Without a window there can be no sliding layer: its size 0 is refused."""
    return tuple(MaskSpec("window", window or 0) if kind == SLIDING else MaskSpec() for kind in types)
