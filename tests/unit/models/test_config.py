"""Configurations of strangers: typed, complete, and nothing in them ignored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from limpide.core.errors import UnsupportedConfig
from limpide.models.config import ConfigReader
from limpide.models.rope_config import hf_rope
from limpide.models.spec import LinearScaling, Llama3Scaling, LongRopeScaling, YarnScaling


def reader(**values: Any) -> ConfigReader:
    return ConfigReader(values, "config.json")


def test_values_are_typed() -> None:
    config = reader(a=3, b=2.0, c=1.5, d=True, e="x", f=["x", "y"], g=[1, 2.5], h={"i": 1}, j=None)
    assert (config.integer("a"), config.integer("b"), config.number("c"), config.number("a")) == (3, 2, 1.5, 3.0)
    assert config.boolean("d", False) is True
    assert config.string("e") == "x"
    assert (config.strings("f"), config.numbers("g")) == (("x", "y"), (1.0, 2.5))
    child = config.child("h")
    assert child is not None
    assert child.integer("i") == 1
    assert config.integer("j", 7) == config.integer("absent", 7) == 7
    assert "a" in config
    assert "j" not in config
    config.finish()


def test_arrays_of_gguf_are_lists() -> None:
    assert ConfigReader({"x.a": np.array([1.0, 2.0], np.float32)}, "GGUF", prefix="x.").numbers("a") == (1.0, 2.0)


@pytest.mark.parametrize(
    ("read", "values"),
    [
        ("integer", ["3", 1.5, -1, True, [3], 2**60, math.inf, math.nan]),
        ("number", ["3", 10**400, True, [1.0], math.inf, math.nan, {}]),
        ("boolean", [1, "true", 0.0]),
        ("string", [1, ["a"], True]),
        ("strings", ["abc", [1], {"a": 1}, 3]),
        ("numbers", ["123", [math.nan], ["1"], 3, [None], [True]]),
        ("child", [3, "x", [1]]),
    ],
)
def test_values_of_another_kind_are_refused_with_their_name(read: str, values: list[Any]) -> None:
    for value in values:
        config = reader(some_key=value)
        with pytest.raises(UnsupportedConfig, match="some_key"):
            config.boolean("some_key", False) if read == "boolean" else getattr(config, read)("some_key")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UnsupportedConfig, match="lacks hidden_size"):
        reader().integer("hidden_size")


def test_keys_that_nobody_read_are_refused_by_name() -> None:
    config = reader(known=1, new_switch=0, other_switch="a", dtype="float32", unset=None)
    config.integer("known")
    with pytest.raises(UnsupportedConfig, match="new_switch, other_switch"):
        config.finish(harmless=("dtype",))


def test_so_are_keys_of_a_mapping_inside() -> None:
    config = reader(inner={"read": 1, "unread": 2})
    child = config.child("inner")
    assert child is not None
    child.integer("read")
    with pytest.raises(UnsupportedConfig, match=r"inner has keys.*unread"):
        config.finish()


def test_only_accepts_what_asks_for_nothing() -> None:
    config = reader(a=False, b=True)
    config.only("a", (False,), "false")
    config.only("absent", (), "nothing")
    with pytest.raises(UnsupportedConfig, match="b is True") as caught:
        config.only("b", (False,), "false")
    assert caught.value.expected == "false"


def test_a_long_value_is_not_printed_whole() -> None:
    with pytest.raises(UnsupportedConfig) as caught:
        reader(a="x" * 10_000).integer("a")
    assert len(str(caught.value)) < 300


LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    ("values", "theta", "scaling"),
    [
        ({}, 1e4, None),
        ({"rope_theta": 5e5}, 5e5, None),
        ({"rope_theta": 5e5, "rope_scaling": None}, 5e5, None),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, 5e5, None),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 1e4, LinearScaling(2.0)),
        ({"rope_scaling": {"rope_type": "linear", "type": "linear", "factor": 2.0}}, 1e4, LinearScaling(2.0)),
        (
            {"rope_theta": 5e5, "rope_scaling": LLAMA3 | {"rope_type": "llama3"}},
            5e5,
            Llama3Scaling(8.0, 1.0, 4.0, 8192),
        ),
        (
            {"rope_parameters": LLAMA3 | {"rope_type": "llama3", "rope_theta": 5e5}},
            5e5,
            Llama3Scaling(8.0, 1.0, 4.0, 8192),
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 16, "truncate": False}},
            1e4,
            YarnScaling(4.0, 100, beta_fast=16.0, truncate=False),
        ),
        (
            {
                "rope_scaling": {
                    "type": "longrope", "short_factor": [1.0], "long_factor": [2.0],
                    "original_max_position_embeddings": 50,
                }
            },
            1e4,
            LongRopeScaling((1.0,), (2.0,), 50, 2.0),
        ),
    ],
)  # fmt: skip
def test_rope_in_every_spelling(values: dict[str, Any], theta: float, scaling: Any) -> None:
    config = ConfigReader(values, "config.json")
    assert hf_rope(config, theta=1e4, context=100) == (theta, scaling)
    config.finish()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type"),
        ({"rope_scaling": {"rope_type": "linear", "type": "yarn", "factor": 2.0}}, "type"),
        ({"rope_scaling": {"type": "linear"}}, "factor"),
        ({"rope_scaling": {"type": "linear", "factor": 0.0}}, "factor"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "surprise": 1}}, "surprise"),
        ({"rope_scaling": {"type": "default"}, "rope_parameters": {"rope_type": "default"}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"rope_scaling": 3}, "rope_scaling"),
    ],
)
def test_rope_that_we_cannot_compute_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    config = ConfigReader(values, "config.json")

    def read() -> None:
        hf_rope(config, theta=1e4, context=100)
        config.finish()

    with pytest.raises(UnsupportedConfig, match=named):
        read()
