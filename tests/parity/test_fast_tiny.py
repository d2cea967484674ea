"""Every dense family in `fast` numerics: near `exact` on the same stored blocks, whichever blocks kernels take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tiny_models import LENGTH, TINY, Tiny, make_reference, some_tokens, stepped_logits, write_gguf
from tiny_moe import MOE
from tiny_own import OWN
from torch import Tensor

from limpide.formats import open_checkpoint
from limpide.kernels import library
from limpide.layers.block import Block
from limpide.layers.fused import FusedBlock
from limpide.models import CausalLM, load_model

NEAR = 0.05
"""Length of the difference over the length of the logits. Taking a feature away makes it several times that."""
GENTLE = 1 / 3
"""What matrices are multiplied by: so that the roundings of activations aren't blown up by tiny, wild models."""
STEPS = [[17]] + [[1]] * (LENGTH - 17)

DENSE = [tiny for tiny in TINY if tiny.gguf is not None and tiny not in (*MOE, *OWN)]
ALL, NONE = 1.0, 0.0
IN_KERNELS = {
    "llama": ALL, "llama-linear": ALL, "gemma3": ALL, "reka": ALL, "qwen3": ALL, "mistral": ALL, "gemma": ALL,
    "phi3": ALL, "smollm3": 0.75, "qwen2": ALL, "gemma2": NONE, "granite": NONE, "gpt2": NONE, "ministral3": NONE,
}  # fmt: skip
"""How many of a model's blocks the kernels take, of heads that they can do at all."""


def wide(tiny: Tiny) -> Tiny:
    """The same model with heads of 32, of which kernels want a multiple."""

    def config() -> Any:
        settings = tiny.config().to_dict()
        if tiny.name == "gpt2":
            settings["n_head"] = 1
        elif tiny.name == "phi3":
            settings |= {"num_attention_heads": 1, "num_key_value_heads": 1}
        else:
            settings["head_dim"] = settings["head_dim"] if tiny.name == "reka" else 32
        return type(tiny.config())(**settings)

    return replace(tiny, config=config)


def both(tiny: Tiny, path: Path) -> tuple[CausalLM, CausalLM]:
    """A Q8_0 file of the model, loaded in exact and in fast numerics."""
    reference = make_reference(tiny)
    with torch.no_grad():
        for parameter in reference.parameters():
            if parameter.ndim > 1:
                parameter.mul_(GENTLE)
    write_gguf(tiny, reference, path, gguf.GGMLQuantizationType.Q8_0)
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics="exact"), load_model(checkpoint, numerics="fast")


def far(exact: CausalLM, fast: CausalLM) -> float:
    tokens = some_tokens()
    (expected,) = stepped_logits(exact, [tokens], STEPS)
    (ours,) = stepped_logits(fast, [tokens], STEPS, torch.float16)
    difference: Tensor = (ours - expected).norm() / expected.norm()
    return float(difference)


@pytest.mark.parametrize("tiny", DENSE, ids=lambda tiny: tiny.name)
def test_fast_is_near_exact(tiny: Tiny, tmp_path: Path) -> None:
    assert 1e-4 < far(*both(tiny, tmp_path / "model.gguf")) < NEAR


@pytest.mark.parametrize("name", IN_KERNELS)
def test_so_it_is_with_heads_that_kernels_can_do(name: str, tmp_path: Path) -> None:
    (tiny,) = (tiny for tiny in DENSE if tiny.name == name)
    exact, fast = both(wide(tiny), tmp_path / "model.gguf")
    assert 1e-4 < far(exact, fast) < NEAR
    if library.available():
        taken = [FusedBlock.of(block) is not None for block in fast.blocks if isinstance(block, Block)]
        assert sum(taken) / len(taken) == IN_KERNELS[name]
