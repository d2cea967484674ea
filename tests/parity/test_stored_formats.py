"""Folders in FP8, AWQ and GPTQ give the logits of transformers with the same numbers written out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import BASE, Tiny, distance, make_reference, plain_logits, reference_logits, some_tokens
from tiny_models import TINY as TABLE
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model
from limpide.quant import PartedMatrix

TOLERANCE = 1e-4
Parts = dict[str, Tensor]

TINY = Tiny("llama", lambda: LlamaConfig(**(BASE | {"max_position_embeddings": 64})), gguf=None)  # type: ignore[arg-type]


def grouped(weight: np.ndarray, group: int, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole numbers [in, out], zero points and half-precision scales [groups, out] of a matrix [out, in]."""
    columns = weight.T.reshape(-1, group, weight.shape[0])
    low, high = columns.min(1).clip(max=0), columns.max(1).clip(min=0)
    scales = ((high - low) / levels).astype(np.float16).astype(np.float32)
    zeros = (-low / scales).round().clip(1, levels)
    q = (columns / scales[:, None] + zeros[:, None]).round().clip(0, levels)
    return q.reshape(-1, weight.shape[0]).astype(int), zeros.astype(int), scales


def words(values: np.ndarray, axis: int, width: int, order: tuple[int, ...] | None = None) -> Tensor:
    """Pack along an axis, the first number (or the first of `order`) in the lowest bits."""
    count = 32 // width
    moved = np.moveaxis(values, axis, -1).reshape(*np.delete(values.shape, axis), -1, count)
    if order is not None:
        moved = moved[..., order]
    packed = sum(moved[..., place].astype(np.uint64) << np.uint64(width * place) for place in range(count))
    return torch.from_numpy(np.moveaxis(np.asarray(packed).astype(np.uint32).view(np.int32), -1, axis).copy())


def awq(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
    q, zeros, scales = grouped(weight, 16, 15)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    numbers = (q - zeros.repeat(16, 0)) * scales.repeat(16, 0)
    parts = {"qweight": words(q, 1, 4, order), "qzeros": words(zeros, 1, 4, order)}
    return parts | {"scales": torch.from_numpy(scales).half()}, numbers.T


def gptq(bits: int, order: bool) -> Callable[[np.ndarray, np.random.Generator], tuple[Parts, np.ndarray]]:
    def store(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        inputs = weight.shape[1]
        by_importance = rng.permutation(inputs) if order else np.arange(inputs)
        q, zeros, scales = grouped(weight[:, by_importance], 16, 2**bits - 1)
        group_of = np.empty(inputs, np.int32)
        group_of[by_importance] = np.arange(inputs) // 16
        q = q[np.argsort(by_importance)]
        parts = {
            "qweight": words(q, 0, bits),
            "qzeros": words(zeros - 1, 1, bits),
            "scales": torch.from_numpy(scales).half(),
            "g_idx": torch.from_numpy(group_of),
        }
        return parts, ((q - zeros[group_of]) * scales[group_of]).T

    return store


def fp8(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
    """Blocks of 24 by 40, so that the last ones are cut off."""
    values = torch.from_numpy(weight)
    rows, cols = weight.shape
    grid = torch.from_numpy(rng.uniform(0.5, 2.0, (-(-rows // 24), -(-cols // 40))).astype(np.float32))
    scales = grid.repeat_interleave(24, 0)[:rows].repeat_interleave(40, 1)[:, :cols]
    stored = (values / scales).to(torch.float8_e4m3fn)
    return {"weight": stored, "weight_scale_inv": grid}, (stored.float() * scales).numpy()


GPTQ: dict[str, Any] = {"quant_method": "gptq", "group_size": 16, "sym": False, "damp_percent": 0.01}
METHODS: dict[str, tuple[dict[str, Any], Callable[..., tuple[Parts, np.ndarray]]]] = {
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm", "zero_point": True},
        awq,
    ),
    "gptq": (GPTQ | {"bits": 4, "desc_act": False}, gptq(4, False)),
    "gptq-desc-act": (GPTQ | {"bits": 4, "desc_act": True, "checkpoint_format": "gptq"}, gptq(4, True)),
    "gptq-8-bits": (GPTQ | {"bits": 8, "desc_act": True}, gptq(8, True)),
    "fp8": ({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [24, 40]}, fp8),
}  # fmt: skip


def quantise(folder: Path, method: str) -> Any:
    """Turn a folder that transformers saved into one in this format. Returns the reference with the same numbers."""
    settings, store = METHODS[method]
    reference = make_reference(TINY)
    reference.save_pretrained(folder)
    rng, state = np.random.default_rng(0), reference.state_dict()
    stored: Parts = {}
    for name, values in load_file(folder / "model.safetensors").items():
        if "_proj" not in name:
            stored[name] = values
            continue
        parts, numbers = store(values.numpy(), rng)
        stem = name.removesuffix("weight")
        stored |= {stem + part: tensor.contiguous() for part, tensor in parts.items()}
        state[name].copy_(torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32)))
    save_file(stored, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    return reference


def load(path: Path, numerics: Any) -> CausalLM:
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics=numerics)


@pytest.mark.parametrize("method", METHODS)
def test_logits_agree(method: str, tmp_path: Path) -> None:
    original = reference_logits(make_reference(TINY), some_tokens())
    expected = reference_logits(quantise(tmp_path, method), some_tokens())
    assert distance(original, expected) > TOLERANCE, "quantising changed nothing"
    assert distance(plain_logits(load(tmp_path, "exact"), some_tokens()), expected) < TOLERANCE
    fast = load(tmp_path, "fast")
    weight: Any = fast.blocks[0].attn.q.weight
    assert isinstance(weight, PartedMatrix)
    assert distance(plain_logits(fast, some_tokens()), expected) < TOLERANCE


@pytest.mark.parametrize("method", ["awq", "gptq-desc-act", "fp8"])
def test_every_part_counts(method: str, tmp_path: Path) -> None:
    """With any one part changed the logits are others: none is read from elsewhere, none is ignored."""
    expected = reference_logits(quantise(tmp_path, method), some_tokens())
    file = tmp_path / "model.safetensors"
    original = load_file(file)
    for part in METHODS[method][1](np.ones((32, 32), np.float32), np.random.default_rng(0))[0]:
        name = f"model.layers.1.mlp.up_proj.{part}"
        changed = original[name].clone()
        if part == "g_idx":
            changed = changed.flip(0)
        else:
            changed.view(torch.uint8)[:4] ^= 0x11
        save_file(original | {name: changed}, file)
        assert distance(plain_logits(load(tmp_path, "exact"), some_tokens()), expected) > TOLERANCE


_UNQUANTISED = ("embed_tokens", "lm_head", "norm", "mlp.gate.")


def test_deepseek_in_blocks_of_eight_bit_floats(tmp_path: Path) -> None:
    """As V3 and R1 are published: latent attention, dense layers, shared and routed experts, all but the router."""
    (tiny,) = (row for row in TABLE if row.name == "deepseek3")
    original = make_reference(tiny)
    plain, quantised = tmp_path / "plain", tmp_path / "quantised"
    original.save_pretrained(plain)
    quantised.mkdir()
    stored, numbers = {}, load_file(plain / "model.safetensors")
    for name, values in numbers.items():
        if values.ndim != 2 or any(part in name for part in _UNQUANTISED):
            stored[name] = values
            continue
        parts, unpacked = fp8(values.numpy(), np.random.default_rng(0))
        stored |= {name.removesuffix("weight") + part: tensor.contiguous() for part, tensor in parts.items()}
        numbers[name] = torch.from_numpy(np.ascontiguousarray(unpacked, dtype=np.float32))
    assert sum(name.endswith("weight_scale_inv") for name in stored) > 3 * 12 * 2
    save_file(numbers, plain / "model.safetensors", metadata={"format": "pt"})
    save_file(stored, quantised / "model.safetensors")
    config = json.loads((plain / "config.json").read_text())
    (quantised / "config.json").write_text(json.dumps(config | {"quantization_config": METHODS["fp8"][0]}))
    reference = AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32, attn_implementation="eager").eval()
    expected = reference_logits(reference, some_tokens())
    assert distance(reference_logits(original, some_tokens()), expected) > TOLERANCE, "quantising changed nothing"
    for numerics in ("exact", "fast"):
        assert distance(plain_logits(load(quantised, numerics), some_tokens()), expected) < TOLERANCE
