"""Experts in formats of several tensors: gpt-oss in MXFP4, Qwen3-MoE in FP8, AWQ and GPTQ, against the same numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_stored_formats import METHODS
from tiny_models import TINY, Tiny, distance, make_reference, plain_logits, reference_logits, some_tokens
from torch import Tensor

from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model
from limpide.quant import PartedMatrix, QuantStack

TOLERANCE = 1e-4
MXFP4 = gguf.GGMLQuantizationType.MXFP4


def row(name: str) -> Tiny:
    (found,) = (tiny for tiny in TINY if tiny.name == name)
    return found


def save(folder: Path, tensors: dict[str, Tensor], settings: dict[str, Any]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))


def in_pairs(matrices: np.ndarray) -> tuple[Tensor, Tensor, np.ndarray]:
    """Blocks, scales and numbers of [experts, out, in]: neighbours share a byte, where ggml's halves do."""
    stored = gguf.quants.quantize(matrices, MXFP4)
    blocks = stored.reshape(*matrices.shape[:2], -1, 17)
    low, high = blocks[..., 1:] & 15, blocks[..., 1:] >> 4
    nibbles = np.concatenate((low, high), axis=-1)
    pairs = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    numbers = gguf.quants.dequantize(stored, MXFP4).reshape(matrices.shape)
    return torch.from_numpy(pairs.copy()), torch.from_numpy(blocks[..., 0].copy()), numbers


def gpt_oss(folder: Path) -> Any:
    """A folder as OpenAI published it. Returns the reference with the same numbers."""
    reference = make_reference(row("gpt-oss"))
    reference.save_pretrained(folder)
    state, stored = reference.state_dict(), {}
    for name, values in load_file(folder / "model.safetensors").items():
        if not re.search(r"experts\.(gate_up|down)_proj$", name):
            stored[name] = values
            continue
        blocks, scales, numbers = in_pairs(values.mT.contiguous().numpy())
        stored |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        state[name].copy_(torch.from_numpy(numbers).mT)
    save(folder, stored, {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]})
    return reference


def qwen3_moe(folder: Path, method: str) -> Any:
    """Projections of experts and attention in this format, the router as it was."""
    reference = make_reference(row("qwen3-moe"))
    reference.save_pretrained(folder)
    settings, store = METHODS[method]
    state, stored, rng = reference.state_dict(), {}, np.random.default_rng(0)
    for name, values in load_file(folder / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            stored[name] = values
            continue
        parts, numbers = store(values.numpy(), rng)
        stored |= {name.removesuffix("weight") + part: tensor for part, tensor in parts.items()}
        in_memory(state, name).copy_(torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32)))
    save(folder, stored, settings)
    return reference


def in_memory(state: dict[str, Tensor], name: str) -> Tensor:
    """Where transformers keeps a tensor of one expert."""
    match = re.fullmatch(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
    if match is None:
        return state[name]
    if match[3] == "down":
        return state[f"{match[1]}.down_proj"][int(match[2])]
    gate, up = state[f"{match[1]}.gate_up_proj"][int(match[2])].chunk(2)
    return gate if match[3] == "gate" else up


def load(path: Path, numerics: Any) -> CausalLM:
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics=numerics)


def check(folder: Path, reference: Any, before: Tensor) -> None:
    expected = reference_logits(reference, some_tokens())
    assert distance(before, expected) > TOLERANCE, "quantising changed nothing"
    assert distance(plain_logits(load(folder, "exact"), some_tokens()), expected) < TOLERANCE
    fast = load(folder, "fast")
    for matrix in ("gate", "up", "down"):
        stack: Any = getattr(fast.blocks[0].mlp.experts, matrix).weight
        assert isinstance(stack, QuantStack)
        assert isinstance(stack.matrix(1), PartedMatrix)
    assert distance(plain_logits(fast, some_tokens()), expected) < TOLERANCE


def test_gpt_oss_as_published(tmp_path: Path) -> None:
    before = reference_logits(make_reference(row("gpt-oss")), some_tokens())
    check(tmp_path, gpt_oss(tmp_path), before)


@pytest.mark.parametrize("method", METHODS)
def test_experts_of_which_each_is_stored_apart(method: str, tmp_path: Path) -> None:
    before = reference_logits(make_reference(row("qwen3-moe")), some_tokens())
    check(tmp_path, qwen3_moe(tmp_path, method), before)


@pytest.mark.parametrize("part", ["gate_up_proj_blocks", "gate_up_proj_scales", "down_proj_blocks", "down_proj_scales"])
def test_every_part_counts(part: str, tmp_path: Path) -> None:
    expected = reference_logits(gpt_oss(tmp_path), some_tokens())
    tensors = load_file(tmp_path / "model.safetensors")
    tensors[f"model.layers.1.mlp.experts.{part}"] ^= 1
    save_file(tensors, tmp_path / "model.safetensors")
    assert distance(plain_logits(load(tmp_path, "exact"), some_tokens()), expected) > TOLERANCE
