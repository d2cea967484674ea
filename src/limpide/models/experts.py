"""What families with mixtures of experts have in common: how their tensors are called and stored."""

from __future__ import annotations

from typing import Literal

from limpide.models.config import ConfigReader
from limpide.models.family import TensorName, experts, module
from limpide.models.transforms import JoinedRows
from limpide.quant import Layout

_OURS = "blocks.{b}.mlp.experts"
_FIRST, _SECOND = Layout("first"), Layout("second")

HF_TRAINING = ("output_router_logits", "router_aux_loss_coef", "router_jitter_noise")
"""Keys of config.json about the router that only concern training."""


_GATING = {"softmax": 1, "sigmoid": 2}
"""GGUF's numbers for scores."""


def refuse_gguf_variations(
    config: ConfigReader, *, renormalise: bool, score: Literal["softmax", "sigmoid"] = "softmax"
) -> None:
    """Refuse settings of GGUF's router that a family doesn't have."""
    config.only("expert_gating_func", (_GATING[score],), f"{_GATING[score]} ({score})")
    config.only("expert_weights_norm", (renormalise,), str(renormalise).lower())
    config.only("expert_weights_scale", (0.0, 1.0), "1")
    config.only("expert_group_count", (0, 1), "1 (no groups)")
    config.only("expert_group_used_count", (0, 1), "1 (no groups)")


def router(hf: str, ours: str = "blocks.{b}.mlp.router") -> tuple[TensorName, ...]:
    """The router's matrix."""
    return module(ours, hf, "blk.{b}.ffn_gate_inp")


def apart(hf: str, gate: str = "gate_proj", up: str = "up_proj", down: str = "down_proj") -> tuple[TensorName, ...]:
    """Experts of which a folder keeps each matrix as a tensor; `hf` is what stands before the expert's number."""
    return (
        *_rows("gate", f"{hf}.{{e}}.{gate}.weight", Layout()),
        *_rows("up", f"{hf}.{{e}}.{up}.weight", Layout()),
        *_rows("down", f"{hf}.{{e}}.{down}.weight", Layout()),
    )


def joined(
    gate_up: str,
    down: str,
    *,
    by: Literal["halves", "turns"] = "halves",
    transposed: bool = False,
    ours: str = _OURS,
) -> tuple[TensorName, ...]:
    """Experts of which a folder keeps all gates and ups in one tensor, and all downs in another.

    Rows of gate come before those of up (`halves`) or alternate with them (`turns`).
    """
    return (
        *_rows("gate", gate_up, Layout("first" if by == "halves" else "even", transposed), ours),
        *_rows("up", gate_up, Layout("second" if by == "halves" else "odd", transposed), ours),
        *_rows("down", down, Layout("all", transposed), ours),
    )


def _rows(matrix: str, hf: str, layout: Layout, ours: str = _OURS) -> tuple[TensorName, ...]:
    """One matrix of all experts, in each way that GGUF files store it: alone, gate with up, or a tensor per expert."""
    ways = [(f"blk.{{b}}.ffn_{matrix}_exps.weight", Layout()), (f"blk.{{b}}.ffn_{matrix}.{{e}}.weight", Layout())]
    if matrix != "down":
        ways.append(("blk.{b}.ffn_gate_up_exps.weight", _FIRST if matrix == "gate" else _SECOND))
    return tuple(
        row
        for gguf, gguf_layout in ways
        for row in experts(f"{ours}.{matrix}", hf, gguf, hf_layout=layout, gguf_layout=gguf_layout)
    )


def shared(hf: str) -> tuple[TensorName, ...]:
    """The expert that every token uses."""
    return (
        *module("blocks.{b}.mlp.shared.gate", f"{hf}.gate_proj", "blk.{b}.ffn_gate_shexp"),
        *module("blocks.{b}.mlp.shared.up", f"{hf}.up_proj", "blk.{b}.ffn_up_shexp"),
        *module("blocks.{b}.mlp.shared.down", f"{hf}.down_proj", "blk.{b}.ffn_down_shexp"),
    )


def shared_joined(gate_up: str, down: str) -> tuple[TensorName, ...]:
    """The same with gate and up in one matrix, one after the other. GGUF keeps them apart."""
    ours, gguf = "blocks.{b}.mlp.shared", "blk.{b}.ffn"
    return (
        *module(f"{ours}.gate", gate_up, f"{gguf}_gate_shexp", hf_transform=JoinedRows(_FIRST)),
        *module(f"{ours}.up", gate_up, f"{gguf}_up_shexp", hf_transform=JoinedRows(_SECOND)),
        *module(f"{ours}.down", down, f"{gguf}_down_shexp"),
    )
