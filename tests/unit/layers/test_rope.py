"""Rotary positions against the formulas, and every scaling against transformers' own functions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from limpide.core.errors import UnsupportedConfig
from limpide.layers.rope import RopeTable, frequencies, rotate
from limpide.layers.spec import (
    DivisorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    RopeScaling,
    RopeSpec,
    YarnScaling,
)

DIMS = 64
SHORT = tuple(1.0 + 0.01 * i for i in range(DIMS // 2))
LONG = tuple(1.0 + 0.5 * i for i in range(DIMS // 2))


def reference(kind: str, seq_len: int | None = None, **settings: Any) -> tuple[torch.Tensor, float]:
    config = LlamaConfig(
        hidden_size=DIMS * 2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": kind, "rope_theta": 1e4} | settings,
    )
    inverse, factor = ROPE_INIT_FUNCTIONS[kind](config, None, seq_len=seq_len)
    return inverse, factor


YARN: dict[str, Any] = {"factor": 8.0, "original_max_position_embeddings": 512}
CASES: dict[str, tuple[RopeScaling, dict[str, Any]]] = {
    "linear": (LinearScaling(4.0), {"factor": 4.0}),
    "llama3": (
        Llama3Scaling(8.0, 1.0, 4.0, 512),
        {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 512},
    ),
    "yarn": (YarnScaling(8.0, 512), YARN),
    "yarn betas": (YarnScaling(8.0, 512, beta_fast=20.0, beta_slow=2.0), YARN | {"beta_fast": 20.0, "beta_slow": 2.0}),
    "yarn untruncated": (YarnScaling(8.0, 512, truncate=False), YARN | {"truncate": False}),
    "yarn attention factor": (YarnScaling(8.0, 512, attention_factor=1.5), YARN | {"attention_factor": 1.5}),
    "yarn mscale": (
        YarnScaling(8.0, 512, mscale=1.2, mscale_all_dim=0.8),
        YARN | {"mscale": 1.2, "mscale_all_dim": 0.8},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_scaled_frequencies_are_those_of_transformers(name: str) -> None:
    scaling, settings = CASES[name]
    ours, factor = frequencies(RopeSpec(1e4, DIMS, scaling=scaling))
    theirs, expected_factor = reference(name.split(maxsplit=1)[0], **settings)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    assert factor == pytest.approx(expected_factor, rel=1e-9)
    plain, _ = frequencies(RopeSpec(1e4, DIMS))
    assert float((ours / plain - 1).abs().max()) > 0.1, "the scaling changed nothing"


@pytest.mark.parametrize(("context", "length"), [(512, 500), (513, 600)])
def test_longrope_once_settled_turns_every_position_the_same_way(context: int, length: int) -> None:
    """As if the sequence had its full length from the first token on."""
    scaling = LongRopeScaling(SHORT, LONG, original_context=512, factor=8.0)
    table = RopeTable(RopeSpec(1e4, DIMS, scaling=scaling))
    expected = table.rotation(torch.arange(length), [0, length], [length]).cos
    table.settle(context)
    first = table.rotation(torch.arange(20), [0, 20], [20]).cos
    torch.testing.assert_close(first, expected[:20])


@pytest.mark.parametrize(("length", "expected"), [(500, "short_factor"), (513, "long_factor")])
def test_longrope_is_chosen_per_sequence(length: int, expected: str) -> None:
    scaling = LongRopeScaling(SHORT, LONG, original_context=512, factor=8.0)
    table = RopeTable(RopeSpec(1e4, DIMS, scaling=scaling))
    settings = {
        "short_factor": list(SHORT), "long_factor": list(LONG), "factor": 8.0, "original_max_position_embeddings": 512,
    }  # fmt: skip
    inverse, factor = reference("longrope", seq_len=length, **settings)
    other = 1 + 512 * (expected == "short_factor")  # a stranger of the other kind shares the step
    rotation = table.rotation(torch.tensor([3, 7, 0]), [0, 2, 3], [length, other])
    angles = torch.tensor([3.0, 7.0])[:, None] * inverse
    torch.testing.assert_close(rotation.cos[:2, 0, : DIMS // 2], angles.cos() * factor, rtol=1e-5, atol=1e-6)
    assert factor == pytest.approx(math.sqrt(1 + math.log(8) / math.log(512)))


def test_divisors_divide() -> None:
    scaled, factor = frequencies(RopeSpec(1e4, DIMS, scaling=DivisorScaling(LONG)))
    plain, _ = frequencies(RopeSpec(1e4, DIMS))
    torch.testing.assert_close(scaled * torch.tensor(LONG), plain)
    assert factor == 1.0


@pytest.mark.parametrize("style", ["half", "interleaved"])
@pytest.mark.parametrize("dims", [8, 6])
def test_rotation_turns_each_pair_by_its_angle(style: Any, dims: int) -> None:
    table = RopeTable(RopeSpec(100.0, dims, style=style))
    x = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([0, 5, 1000])
    turned = rotate(x, table.rotation(positions, [0, 3], [1001]))
    for token, position in enumerate(positions.tolist()):
        for pair in range(dims // 2):
            i, j = (pair, pair + dims // 2) if style == "half" else (2 * pair, 2 * pair + 1)
            angle = position * 100.0 ** (-2 * pair / dims)
            before = torch.complex(x[token, :, i].double(), x[token, :, j].double())
            after = before * complex(math.cos(angle), math.sin(angle))
            torch.testing.assert_close(turned[token, :, i].double(), after.real, rtol=1e-3, atol=2e-4)
            torch.testing.assert_close(turned[token, :, j].double(), after.imag, rtol=1e-3, atol=2e-4)
    assert torch.equal(turned[..., dims:], x[..., dims:])


@pytest.mark.parametrize(
    "make",
    [
        lambda: RopeSpec(0.0, 8),
        lambda: RopeSpec(1e4, 7),
        lambda: RopeSpec(1e4, 0),
        lambda: RopeSpec(1e4, 8, style="sideways"),  # type: ignore[arg-type]
        lambda: RopeSpec(1.0, 8),
        lambda: LinearScaling(0.0),
        lambda: Llama3Scaling(8.0, 1.0, 0.0, 512),
        lambda: YarnScaling(8.0, 0),
        lambda: YarnScaling(8.0, 512, beta_slow=-1.0),
        lambda: LongRopeScaling((1.0,), (1.0,), 1, 2.0),
        lambda: RopeSpec(1e4, 8, scaling=DivisorScaling((1.0,))),
        lambda: RopeSpec(1e4, 4, scaling=DivisorScaling((1.0, 0.0))),
        lambda: RopeSpec(1e4, 4, scaling=LongRopeScaling((1.0, 1.0), (1.0,), 8, 2.0)),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(UnsupportedConfig, match="rope"):
        make()
