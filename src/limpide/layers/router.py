"""How tokens choose experts: one function for every rule that families have, as RouterSpec describes it.

Sources: sparsely gated mixtures (arXiv:1701.06538), top-k of a softmax (arXiv:2401.04088), and sigmoid scores with a
correction for choosing and groups of experts (arXiv:2412.19437).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limpide.layers.spec import RouterSpec

_TINY = 1e-20
"""Added to what weights are divided by, as the reference implementations do: scores that are all zero stay numbers."""


class Routing(NamedTuple):
    """What a router decided for each token."""

    logits: Tensor
    """float32 [T, experts] as the router's matrix gives them."""
    experts: Tensor
    """int64 [T, chosen] which experts, best first."""
    weights: Tensor
    """float32 [T, chosen] what each of them counts."""


def route(
    spec: RouterSpec, logits: Tensor, choice_bias: Tensor | None = None, expert_scale: Tensor | None = None
) -> Routing:
    """Choose experts from router logits [T, experts] and weigh them.

    `choice_bias` [experts] is added to the scores for choosing only, `expert_scale` [experts] multiplies weights. A
    token's result does not depend on the others.
    """
    preferences = logits if spec.order == "topk_then_score" else _score(spec, logits)
    if choice_bias is not None:
        preferences = preferences + choice_bias
    if spec.groups > 1:
        preferences = _best_groups(spec, preferences)
    experts = preferences.topk(spec.chosen, dim=-1).indices
    return Routing(logits, experts, weigh(spec, logits, experts, expert_scale))


def weigh(spec: RouterSpec, logits: Tensor, experts: Tensor, expert_scale: Tensor | None = None) -> Tensor:
    """Weights [T, chosen] of experts [T, chosen] that have been chosen, by the router or by somebody else."""
    if spec.order == "topk_then_score":
        weights = _score(spec, logits.gather(-1, experts))
    else:
        weights = _score(spec, logits).gather(-1, experts)
    if spec.renormalise:
        # One by one: a reduction may add up in an order that depends on the number of tokens.
        total = torch.full_like(weights[..., :1], _TINY)
        for weight in weights.unbind(-1):
            total = total + weight.unsqueeze(-1)
        weights = weights / total
    if spec.scale != 1.0:
        weights = weights * spec.scale
    return weights if expert_scale is None else weights * expert_scale[experts]


def _score(spec: RouterSpec, logits: Tensor) -> Tensor:
    return logits.softmax(-1) if spec.score == "softmax" else sigmoid(logits)


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function, the same bits wherever in a tensor a number stands.

    In single precision vector units and what is left over at the end round differently; doubles hide that.
    """
    return x.double().sigmoid().float()


def _best_groups(spec: RouterSpec, preferences: Tensor) -> Tensor:
    """Preferences with only the groups left whose two best experts add up to most."""
    grouped = preferences.view(*preferences.shape[:-1], spec.groups, -1)
    best, second = grouped.topk(2, dim=-1).values.unbind(-1)
    kept = (best + second).topk(spec.groups_kept, dim=-1).indices
    dropped = torch.ones_like(best, dtype=torch.bool).scatter(-1, kept, False)
    left: Tensor = grouped.masked_fill(dropped.unsqueeze(-1), -torch.inf).flatten(-2)
    return left
