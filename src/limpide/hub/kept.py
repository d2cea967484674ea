"""What a model keeps of each token, and what it carries along a sequence: read from a stranger's header, as numbers.

Mirrors `limpide.models`, which the hub may not import; tests/contract/test_fit_facts.py holds the two together over all
families. Layers with a window keep all tokens too: the paged cache forgets none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_RUN = 16
"""Inputs of an unfinished run that a recurrent layer holds on to."""
MOST_LAYERS = 4096
LIMIT = 1 << 40
"""Numbers in a stranger's header beyond this are nonsense, and would only make nonsense predictions."""


class Kept(NamedTuple):
    """Numbers over all layers."""

    per_token: int
    """In the key-value cache."""
    carried: int
    """By recurrent layers, per sequence."""


class _Layer(NamedTuple):
    kv_heads: int
    head_dim: int


def whole(value: Any) -> int | None:
    """A number that makes sense as a size, or None."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < LIMIT:
        return None
    return value


def from_gguf(numbers: Mapping[str, Any], layers: int, kv_heads: int, head_dim: int) -> Kept:
    """`numbers` are the architecture's own keys, without its name. The defaults are for layers that say nothing."""

    def number(key: str, default: int = 0) -> int:
        return whole(numbers.get(key)) or default

    if latent := number("attention.kv_lora_rank"):
        return Kept(layers * (latent + number("rope.dimension_count")), 0)
    heads = _listed(numbers.get("attention.head_count_kv"), layers, kv_heads)
    small = _flags(numbers.get("attention.sliding_window_pattern"), layers)
    narrow = number("attention.key_length_swa", head_dim)
    recurrent = _flags(numbers.get("attention.recurrent_layers"), layers)
    if interval := number("full_attention_interval"):
        recurrent = [(index + 1) % interval != 0 for index in range(layers)]
    own = layers - min(layers, number("attention.shared_kv_layers"))
    rows = [
        _Layer(0 if recurrent[i] or i >= own else heads[i], narrow if small[i] else head_dim) for i in range(layers)
    ]
    inner, kernel, state = number("ssm.inner_size"), number("ssm.conv_kernel"), number("ssm.state_size")
    groups, ranks = number("ssm.group_count"), number("ssm.time_step_rank")
    if any(recurrent):
        each, count = _delta(groups, state, ranks, inner, kernel), sum(recurrent)
    else:
        each, count = _mamba(ranks, inner, groups, state, kernel), sum(row.kv_heads == 0 for row in rows[:own])
    return Kept(_attention(rows), count * each)


def from_json(config: Mapping[str, Any], layers: int, kv_heads: int, head_dim: int) -> Kept:
    """Of a config.json."""

    def number(key: str, default: int = 0) -> int:
        return whole(config.get(key)) or default

    if latent := number("kv_lora_rank"):
        return Kept(layers * (latent + number("qk_rope_head_dim")), 0)
    kinds = _kinds(config, layers)
    recurrent = [kind in ("linear_attention", "mamba") for kind in kinds]
    gemma4 = config.get("model_type") == "gemma4_text"
    wide, wide_heads = (number("global_head_dim", 512), kv_heads) if gemma4 else (head_dim, kv_heads)
    if gemma4 and config.get("attention_k_eq_v") is True:
        wide_heads = number("num_global_key_value_heads", kv_heads)
    own = layers - min(layers, number("num_kv_shared_layers"))
    single = config.get("per_layer_config")
    rows = []
    for index, kind in enumerate(kinds):
        full = kind == "full_attention" and not single
        row = _overridden(_Layer(wide_heads, wide) if full else _Layer(kv_heads, head_dim), single, index)
        rows.append(_Layer(0, 0) if recurrent[index] or index >= own else row)
    if number("mamba_n_heads"):
        inner = number("mamba_n_heads") * number("mamba_d_head", 64)
        groups, state = number("mamba_n_groups", 1), number("mamba_d_state", 256)
        each = _mamba(number("mamba_n_heads"), inner, groups, state, number("mamba_d_conv", 4))
    else:
        values = number("linear_num_value_heads", 32)
        each = _delta(
            number("linear_num_key_heads", 16),
            number("linear_key_head_dim", 128),
            values,
            values * number("linear_value_head_dim", 128),
            number("linear_conv_kernel_dim", 4),
        )
    return Kept(_attention(rows), sum(recurrent) * each)


def _overridden(layer: _Layer, single: Any, index: int) -> _Layer:
    """What newer files of Gemma 4 say of single layers."""
    said = single.get(str(index)) if isinstance(single, Mapping) else None
    if not isinstance(said, Mapping):
        return layer
    heads, head_dim = whole(said.get("num_key_value_heads")), whole(said.get("head_dim"))
    return _Layer(heads or layer.kv_heads, head_dim or layer.head_dim)


def _attention(rows: Sequence[_Layer]) -> int:
    return sum(2 * row.kv_heads * row.head_dim for row in rows)


def _mamba(heads: int, inner: int, groups: int, state: int, kernel: int) -> int:
    channels = inner + 2 * groups * state
    return max(0, kernel - 1) * channels + _RUN * (channels + heads) + inner * state


def _delta(key_heads: int, key_dim: int, value_heads: int, inner: int, kernel: int) -> int:
    channels = 2 * key_heads * key_dim + inner
    return max(0, kernel - 1) * channels + _RUN * (channels + 2 * value_heads) + inner * key_dim


def _kinds(config: Mapping[str, Any], layers: int) -> list[str]:
    """What each layer is called; families with recurrent layers that don't say it have every fourth attend."""
    listed = config.get("layer_types")
    if isinstance(listed, list) and len(listed) >= layers:
        return [str(kind) for kind in listed[:layers]]
    if "linear_num_value_heads" in config:
        interval = whole(config.get("full_attention_interval")) or 4
        return ["full_attention" if (i + 1) % interval == 0 else "linear_attention" for i in range(layers)]
    return ["attention"] * layers


def _listed(value: Any, layers: int, default: int) -> list[int]:
    """One number per layer, from a list or from one for all; zero is a layer without keys."""
    values = _as_list(value)
    if values is not None and len(values) >= layers:
        return [v if isinstance(v, int) and 0 <= v < LIMIT else 0 for v in values[:layers]]
    return [whole(value) or default] * layers


def _flags(value: Any, layers: int) -> list[bool]:
    values = _as_list(value)
    return [bool(v) for v in values[:layers]] if values is not None and len(values) >= layers else [False] * layers


def _as_list(value: Any) -> list[Any] | None:
    value = value.tolist() if hasattr(value, "tolist") else value
    return value if isinstance(value, list) else None
