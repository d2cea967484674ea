"""Published configurations with one value changed into anything: read, or refused with one of our errors, at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_configs import NAMES, hub_config, open_config
from limpide.core.errors import LimpideError, UnsupportedConfig
from limpide.formats import Checkpoint
from limpide.models.registry import read_spec
from limpide.models.renamed import renamed

Config = dict[str, Any]

STRANGE: list[Any] = [
    None, -1, 0, 1, 3, 2**40, 2**39, 10**400, 1e300, 5e-324, float("nan"), float("inf"), "", "x", [], [1], ["x"] * 4,
    [1] * 48, [None] * 4, {}, {"a": 1}, {"full_attention": 3}, True, 0.5, -0.5,
]  # fmt: skip


def _one_of_each() -> list[str]:
    """A configuration of each kind of model, with and without a wrapper."""
    kinds = {
        (c["model_type"], json.dumps(c.get("quantization_config"))): name for name in NAMES for c in [hub_config(name)]
    }
    return sorted(kinds.values())


@pytest.mark.parametrize("name", _one_of_each())
def test_whatever_a_published_configuration_is_changed_into(name: str, tmp_path: Path) -> None:
    config = hub_config(name)
    with open_config(config, tmp_path) as checkpoint:
        assert _read(checkpoint, config)
        for changed in _changes(config, lambda whole: whole):
            with contextlib.suppress(LimpideError):
                assert _read(checkpoint, changed)


def _read(checkpoint: Checkpoint, config: Config) -> bool:
    return bool(read_spec(renamed(checkpoint, (), config=config))[1].blocks)


def _changes(mapping: Config, put: Callable[[Config], Config]) -> Iterator[Config]:
    """Every key with every strange value, and left out; mappings inside as well."""
    for key, value in mapping.items():
        yield from (put(mapping | {key: strange}) for strange in STRANGE)
        yield put({other: kept for other, kept in mapping.items() if other != key})
        if isinstance(value, dict):
            yield from _changes(value, lambda inner, key=key: put(mapping | {key: inner}))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("HuggingFaceTB--SmolLM2-1.7B-Instruct", {"hidden_size": 0}),
        ("HuggingFaceTB--SmolLM2-1.7B-Instruct", {"num_attention_heads": 2**39}),
        ("meta-llama--Llama-3.2-1B-Instruct", {"head_dim": 0}),
        ("deepseek-ai--DeepSeek-R1", {"qk_nope_head_dim": 0, "qk_rope_head_dim": 0}),
        ("Qwen--Qwen3-30B-A3B", {"num_hidden_layers": 4096, "num_experts": 1024}),
    ],
    ids=str,
)
def test_sizes_that_no_model_has_are_refused(name: str, change: Config, tmp_path: Path) -> None:
    config = hub_config(name)
    with open_config(config, tmp_path) as checkpoint, pytest.raises(UnsupportedConfig):
        _read(checkpoint, config | change)


def test_a_magnitude_beyond_all_numbers_is_refused(tmp_path: Path) -> None:
    config = hub_config("deepseek-ai--DeepSeek-R1")
    config["rope_scaling"]["mscale_all_dim"] = 1e300
    with open_config(config, tmp_path) as checkpoint, pytest.raises(UnsupportedConfig, match=r"attention\.scale"):
        _read(checkpoint, config)
