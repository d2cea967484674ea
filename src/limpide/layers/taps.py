"""Taps: named points of the forward pass where a tensor can be read or replaced.

Interpretability, ablation, patching and adapters use nothing else. With no taps the forward pass calls nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from limpide.core.errors import InvalidParameter

Tap = Callable[[Tensor], Tensor | None]
"""Gets the tensor at a point. Returns what shall take its place, of the same shape, or None to leave it as it is."""

BLOCK_POINTS: dict[str, str] = {
    "attn.input": "[T, hidden] what attention reads: the residual stream after the norm",
    "attn.q": "[T, heads, head_dim] queries as projected, before their norm and rope",
    "attn.k": "[T, kv_heads, head_dim] keys as projected, before their norm and rope; not in latent attention",
    "attn.v": "[T, kv_heads, head_dim] values as projected; not in latent attention",
    "attn.latent": "[T, latent] what keys and values are made of, after its norm; latent attention only",
    "attn.probs": "[heads, queries, keys] attention probabilities; called once per sequence of the step, in order",
    "attn.heads": "[T, heads, head_dim] each head's result, before the output projection mixes them",
    "attn.output": "[T, hidden] after the output projection, before a post-norm",
    "attn.update": "[T, hidden] what attention adds to the residual stream",
    "mid": "[T, hidden] the residual stream between attention and MLP",
    "mlp.input": "[T, hidden] what the MLP reads: the residual stream after the norm",
    "mlp.gate": "[T, width] gate as projected, before the activation; gated MLPs only",
    "mlp.up": "[T, width] up as projected",
    "mlp.neurons": "[T, width] the neurons, before the down projection mixes them",
    "moe.logits": "[T, experts] the router's logits; this point and the next four in mixtures of experts only",
    "moe.experts": "[T, chosen] int64, which experts a token goes through; weights follow what replaces it",
    "moe.weights": "[T, chosen] what each chosen expert counts",
    "moe.outputs": "[T, chosen, hidden] each chosen expert's result, not yet weighed unless the weight is on its input",
    "moe.shared": "[T, hidden] what the expert adds that every token uses; its gate, up and neurons are those of `mlp`",
    "mlp.output": "[T, hidden] after the down projection, before a post-norm",
    "mlp.update": "[T, hidden] what the MLP adds to the residual stream",
    "per_layer.update": "[T, hidden] what a second embedding adds to the residual stream, in models that have one",
    "output": "[T, hidden] the residual stream after the block",
}
"""Points of one block, written `blocks.N.` and the name; T are the step's flat tokens."""

MODEL_POINTS: dict[str, str] = {
    "embed": "[T, hidden] the residual stream before the first block",
    "norm": "[T, hidden] after the final norm",
    "logits": "[R, vocab] after scale and softcap, for the rows asked for",
}
"""Points outside the blocks."""

_BLOCK_POINT = re.compile(r"blocks\.(0|[1-9][0-9]{0,5})\.(.+)")


class Taps:
    """A set of taps, by point name. Raises InvalidParameter for a name that is no point.

    Taps on the same point are a mistake of the caller's to compose: one function per point.
    """

    def __init__(self, taps: Mapping[str, Tap]) -> None:
        self._taps = dict(taps)
        self._highest = -1
        for name in self._taps:
            match = _BLOCK_POINT.fullmatch(name)
            if match is None and name in MODEL_POINTS:
                continue
            if match is None or match[2] not in BLOCK_POINTS:
                points = [*MODEL_POINTS, *(f"blocks.N.{point}" for point in BLOCK_POINTS)]
                raise InvalidParameter("tap", name, f"one of {', '.join(points)}")
            self._highest = max(self._highest, int(match[1]))

    def check(self, num_blocks: int) -> None:
        """Raises InvalidParameter if a tap names a block that the model hasn't."""
        if self._highest >= num_blocks:
            raise InvalidParameter("tap", f"blocks.{self._highest}", f"blocks 0 to {num_blocks - 1}")

    def wants(self, name: str) -> bool:
        """Whether somebody listens at a point: for tensors that are only made on demand."""
        return name in self._taps

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """The tensor that goes on from a point: `x` itself unless a tap replaces it."""
        tap = self._taps.get(name)
        if tap is None:
            return x
        replaced = tap(x)
        if replaced is None:
            return x
        if replaced.shape != x.shape:
            raise InvalidParameter(f"tap {name}", tuple(replaced.shape), f"a tensor of shape {tuple(x.shape)}")
        return replaced
