"""Checkpoints that are complete load; all others are refused with the names of what is wrong."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoint import GGUF, LLAMA, gguf_tensors, hf_tensors, write_folder, write_gguf

from limpide.cache import PlainKV
from limpide.core.errors import CorruptModelFile, LimpideError, UnsupportedArchitecture, UnsupportedConfig
from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model
from limpide.models.registry import FAMILIES
from limpide.quant import QuantTensor


def load(path: Path, numerics: Any = "exact") -> CausalLM:
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics=numerics)


def folder_with(tmp_path: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    return write_folder(tmp_path / "model", LLAMA | config, hf_tensors() | (tensors or {}))


def gguf_with(tmp_path: Path, metadata: dict[str, Any] | None = None, tensors: dict[str, Any] | None = None) -> Path:
    return write_gguf(tmp_path / "model.gguf", GGUF | (metadata or {}), gguf_tensors() | (tensors or {}))


@pytest.mark.parametrize("numerics", ["exact", "fast"])
def test_a_model_lives_on_after_its_checkpoint_is_closed(tmp_path: Path, numerics: str) -> None:
    model = load(folder_with(tmp_path), numerics)
    with torch.inference_mode():
        logits = model.logits(model(torch.arange(5), torch.arange(5), PlainKV([5])))
    assert logits.shape == (5, 40)
    assert logits.dtype == torch.float32
    assert bool(logits.isfinite().all())


def test_fast_keeps_the_bytes_of_the_file(tmp_path: Path) -> None:
    model = load(gguf_with(tmp_path), "fast")
    weight: Any = model.blocks[0].mlp.up.weight
    assert isinstance(weight, QuantTensor)
    assert weight.data.numpy().tobytes() == gguf_tensors()["blk.0.ffn_up.weight"].tobytes()
    assert model.lm_head.weight is model.embed.weight


def test_exact_can_be_tuned(tmp_path: Path) -> None:
    model = load(folder_with(tmp_path))
    weight: Any = model.blocks[1].attn.q.weight
    weight.requires_grad_(True)
    model.logits(model(torch.arange(5), torch.arange(5), PlainKV([5]))).logsumexp(-1).sum().backward()
    assert float(weight.grad.abs().sum()) > 0
    assert not model.embed.weight.requires_grad


def test_a_tied_output_that_is_stored_anyway_is_the_embedding(tmp_path: Path) -> None:
    """As in transformers: tie_word_embeddings wins over a stored matrix."""
    stored = folder_with(tmp_path, {"lm_head.weight": np.ones((40, 16), np.float32)})
    model = load(stored)
    assert torch.equal(model.lm_head.weight, torch.from_numpy(hf_tensors()["model.embed_tokens.weight"]))


def test_an_untied_output_of_gguf_is_used(tmp_path: Path) -> None:
    output = np.full((40, 16), 0.5, np.float32)
    assert torch.equal(
        load(gguf_with(tmp_path, tensors={"output.weight": output})).lm_head.weight, torch.from_numpy(output)
    )


@pytest.mark.parametrize(
    "name", ["model.norm.weight", "model.layers.1.self_attn.k_proj.weight", "model.embed_tokens.weight"]
)
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    tensors = hf_tensors()
    del tensors[name]
    with pytest.raises(CorruptModelFile, match=name.replace(".", r"\.")):
        load(write_folder(tmp_path / "m", LLAMA, tensors))


@pytest.mark.parametrize(
    "name", ["model.layers.2.mlp.up_proj.weight", "model.layers.0.self_attn.q_norm.weight", "vision.patch.weight"]
)
def test_an_unexpected_tensor_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorruptModelFile, match=name.replace(".", r"\.")):
        load(folder_with(tmp_path, {name: np.ones((4, 4), np.float32)}))


def test_a_tensor_known_to_take_no_part_is_no_obstacle(tmp_path: Path) -> None:
    load(folder_with(tmp_path, {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)}))


@pytest.mark.parametrize("shape", [(16, 8), (16, 16, 1), (256,), (0, 16)])
def test_a_tensor_of_the_wrong_shape_is_named_with_both_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    name = "model.layers.1.self_attn.q_proj.weight"
    with pytest.raises(CorruptModelFile, match=r"q_proj\.weight is \[.*not \[16, 16\]"):
        load(folder_with(tmp_path, {name: np.zeros(shape, np.float32)}))


def test_a_bias_without_its_switch_is_not_dropped(tmp_path: Path) -> None:
    bias = {"model.layers.0.self_attn.q_proj.bias": np.ones(16, np.float32)}
    with pytest.raises(CorruptModelFile, match=r"q_proj\.bias"):
        load(folder_with(tmp_path, bias))


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_act": "gelu"},
        {"attention_multiplier": 0.5},
        {"num_local_experts": 8},
        {"sliding_window": 128},
        {"quantization_config": {"quant_method": "awq", "bits": 4}},
        {"rope_interleaved": True},
        {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        {"rms_norm_eps": "small"},
        {"num_attention_heads": 0},
        {"num_key_value_heads": 3},
        {"num_hidden_layers": 0},
        {"num_hidden_layers": 10**9},
        {"num_attention_heads": -4},
        {"hidden_size": 1.5},
        {"vocab_size": None},
        {"head_dim": 5},
        {"head_dim": 10**9},
        {"max_position_embeddings": 0},
        {"attention_bias": "yes"},
    ],
    ids=str,
)
def test_a_config_that_we_cannot_follow_is_refused_by_name(tmp_path: Path, config: dict[str, Any]) -> None:
    path, started = folder_with(tmp_path, **config), time.monotonic()
    names = {"num_attention_heads": "head", "num_key_value_heads": "kv_heads", "max_position_embeddings": "context"}
    names |= {"num_hidden_layers": "layers", "head_dim": "rope.dims|q_proj", "rope_scaling": "rope_type"}
    with pytest.raises((UnsupportedConfig, CorruptModelFile), match=names.get(*config, *config)):
        load(path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "metadata",
    [
        {"llama.expert_used_count": 8},
        {"llama.attention.clamp_kqv": 8.0},
        {"llama.attention.causal": False},
        {"llama.attention.value_length": 8},
        {"llama.rope.scaling.type": "longrope"},
        {"llama.rope.scaling.factor": 4.0},
        {"llama.logit_scale": 2.0},
        {"llama.attention.head_count_kv": [2, 1]},
        {"llama.block_count": 2**31},
        {"general.type": "adapter"},
        {"llama.rope.dimension_count": 2},
    ],
    ids=str,
)
def test_so_is_such_gguf_metadata(tmp_path: Path, metadata: dict[str, Any]) -> None:
    (key,) = metadata
    with pytest.raises(UnsupportedConfig, match=key.replace(".", r"\.")):
        load(gguf_with(tmp_path, metadata))


def test_gguf_keys_of_other_namespaces_are_no_obstacle(tmp_path: Path) -> None:
    load(gguf_with(tmp_path, {"general.name": "x", "tokenizer.ggml.model": "gpt2", "quantize.imatrix.file": "x"}))


@pytest.mark.parametrize("divisors", [np.ones(3, np.float32), np.zeros(2, np.float32), np.ones((1, 2), np.float32)])
def test_rope_divisors_are_checked(tmp_path: Path, divisors: np.ndarray) -> None:
    load(gguf_with(tmp_path, tensors={"rope_freqs.weight": np.ones(2, np.float32)}))
    with pytest.raises(UnsupportedConfig, match=r"divisors|rope_freqs"):
        load(write_gguf(tmp_path / "bad.gguf", GGUF, gguf_tensors() | {"rope_freqs.weight": divisors}))


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "warp_drive", "architectures": ["WarpDriveForCausalLM"]},
        {"architectures": ["LlamaForSequenceClassification"]},
        {"model_type": None},
        {"model_type": ["llama"]},
    ],
    ids=str,
)
def test_an_unknown_architecture_lists_the_known_ones(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedArchitecture) as caught:
        load(folder_with(tmp_path, **config))
    assert "LlamaForCausalLM" in str(caught.value)
    assert "Gemma3ForCausalLM" in str(caught.value)


def test_an_unknown_gguf_architecture_lists_the_known_ones(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", GGUF, gguf_tensors(), architecture="warp")
    with pytest.raises(UnsupportedArchitecture, match="warp") as caught:
        load(path)
    assert {"gemma3", "llama"} <= set(str(caught.value).replace(",", " ").split())


def test_families_do_not_claim_the_same_names() -> None:
    for names in ("hf_model_types", "hf_architectures"):
        claimed = [name for family in FAMILIES for name in getattr(family, names)]
        assert len(claimed) == len(set(claimed))
    unconditional = [name for family in FAMILIES if family.claims({}) for name in family.gguf_architectures]
    assert len(unconditional) == len(set(unconditional))
    order = [(name, family.claims({})) for family in FAMILIES for name in family.gguf_architectures]
    for index, (name, _) in enumerate(order):
        assert not any(earlier == name and takes_all for earlier, takes_all in order[:index]), "never asked"


@pytest.mark.parametrize("seed", range(60))
def test_a_config_with_one_value_replaced_loads_or_is_refused(tmp_path: Path, seed: int) -> None:
    """Whatever a stranger writes: one of our errors, never a crash from deep inside."""
    random = np.random.default_rng(seed)
    config = dict(LLAMA) | {"rope_scaling": None, "rope_theta": 1e4, "attention_bias": False, "head_dim": 4}
    key = list(config)[seed % len(config)]
    strange = [None, -1, 0, 1, 2**40, 10**400, 1e300, float("nan"), "", "x", [], [1], {}, {"a": 1}, True, 0.5]
    config[key] = strange[random.integers(len(strange))]
    with contextlib.suppress(LimpideError):
        load(write_folder(tmp_path / "m", config, hf_tensors()))
