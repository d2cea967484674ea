"""Mixtures of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpide.layers.spec.checks import one_of, positive, require
from limpide.layers.spec.mlp import MLPSpec
from limpide.layers.spec.norm import NormSpec

MAX_EXPERTS = 1024
"""Of one layer. Bounded: names of each one's tensors are made before the weights are looked at."""


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """How tokens choose experts: one function of the logits for every family, giving (logits, indices, weights)."""

    experts: int
    chosen: int
    score: Literal["softmax", "sigmoid"] = "softmax"
    order: Literal["topk_then_score", "score_then_topk"] = "score_then_topk"
    renormalise: bool = True
    scale: float = 1.0
    bias: bool = False
    choice_bias: bool = False
    """A correction that takes part in choosing, not in weighing."""
    groups: int = 1
    """Experts come in so many groups; a group's score is the sum of its two best."""
    groups_kept: int = 1
    """Experts are chosen from so many of the best groups."""
    weight_on: Literal["input", "output"] = "output"
    """Whether a weight multiplies what its expert reads or what it gives."""
    norm: NormSpec | None = None
    """The router's own norm of what it reads."""
    input_scale: float = 1.0
    """What the router reads is multiplied by this, after its norm."""
    expert_scale: bool = False
    """Weights are multiplied by a stored number per expert at the end."""

    def __post_init__(self) -> None:
        one_of("router.score", self.score, ("softmax", "sigmoid"))
        one_of("router.order", self.order, ("topk_then_score", "score_then_topk"))
        one_of("router.weight_on", self.weight_on, ("input", "output"))
        positive("router", self, "scale", "input_scale")
        require(0 < self.experts <= MAX_EXPERTS, "router.experts", self.experts, f"1 to {MAX_EXPERTS} experts")
        group_size = self.experts // self.groups if self.groups > 0 else 0
        even = self.groups == 1 or (group_size > 1 and group_size * self.groups == self.experts)
        require(even, "router.groups", self.groups, f"a divisor of {self.experts} with two experts or more to a group")
        require(0 < self.groups_kept <= self.groups, "router.groups_kept", self.groups_kept, f"1 to {self.groups}")
        candidates = self.groups_kept * group_size
        require(0 < self.chosen <= candidates, "router.chosen", self.chosen, f"1 to {candidates} experts")
        scored = self.order == "score_then_topk" or not (self.choice_bias or self.groups > 1)
        require(scored, "router.order", self.order, "score_then_topk, since scores are corrected or grouped")


@dataclass(frozen=True, slots=True)
class MoESpec:
    """A mixture of experts in the MLP's place."""

    router: RouterSpec
    expert: MLPSpec
    shared: MLPSpec | None = None
    """An expert that every token uses."""
    shared_gate: bool = False
    """The shared expert's output is weighed by a sigmoid of its own."""

    def __post_init__(self) -> None:
        require(self.shared is not None or not self.shared_gate, "moe.shared_gate", self.shared_gate, "a shared expert")
