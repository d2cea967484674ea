"""Published models, without their weights: as many numbers as in transformers, and the same frequencies of rope."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from hub_configs import NAMES, hub_config, open_config
from limpide.layers.rope import frequencies
from limpide.models import ModelSpec
from limpide.models.parameters import parameters
from limpide.models.registry import read_spec

_BUFFERS = ("e_score_correction_bias", "layer_scalar")
"""What checkpoints store though transformers doesn't call it a parameter."""


def reference(config: dict[str, Any]) -> Any:
    """transformers' model of the text part, without memory for its weights."""
    settings = {key: value for key, value in config.items() if key != "quantization_config"}
    text = CONFIG_MAPPING[config["model_type"]].from_dict(settings).get_text_config()
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(text)


def spec_of(config: dict[str, Any], folder: Path, *, tied: bool) -> ModelSpec:
    with open_config(config | ({} if "text_config" not in config else {"tie_word_embeddings": tied}), folder) as opened:
        return read_spec(opened)[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_published_model_has_as_many_numbers_as_in_transformers(name: str, tmp_path: Path) -> None:
    config = hub_config(name)
    model = reference(config)
    spec = spec_of(config, tmp_path, tied=model.config.tie_word_embeddings)
    stored = list(model.parameters()) + [b for n, b in model.named_buffers() if n.endswith(_BUFFERS)]
    assert sum(map(prod, parameters(spec).values())) == sum(tensor.numel() for tensor in stored)


ROPED = [name for name in NAMES if "gpt2" not in name and "granite-4" not in name]


@pytest.mark.parametrize("name", ROPED)
def test_a_published_model_turns_as_in_transformers(name: str, tmp_path: Path) -> None:
    """At the real sizes, which tiny models don't have: LongRoPE's 48 factors, YaRN over 64 times the context."""
    config = hub_config(name)
    rotary = reference(config).model.rotary_emb
    theirs = _frequencies(type(rotary)(config=rotary.config))
    spec = spec_of(config, tmp_path, tied=True)
    ours = [frequencies(rope) for rope in {b.attention.rope for b in spec.blocks} if rope is not None]
    assert len(ours) == len(theirs)
    for table, factor in ours:
        assert any(_same(table, t) and factor == pytest.approx(f, rel=1e-6) for t, f in theirs)
    for table, factor in theirs:
        assert any(_same(t, table) and factor == pytest.approx(f, rel=1e-6) for t, f in ours)


def _frequencies(rotary: Any) -> list[tuple[torch.Tensor, float]]:
    """Each kind of layer's frequencies, and what cosines and sines are multiplied by."""
    found = []
    for name, table in rotary.named_buffers():
        kind = re.fullmatch(r"(|.*_)inv_freq", name)
        if kind is not None and "original" not in name:
            found.append((table, float(getattr(rotary, f"{kind[1]}attention_scaling"))))
    return found


def _same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-5, atol=1e-20)
