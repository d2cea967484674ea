"""Per-layer embeddings: a second table of vectors, of which every block mixes in its own part (Gemma 3n, Gemma 4)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.embedding import Embedding
from limpide.layers.linear import Linear
from limpide.layers.norm import make_norm
from limpide.layers.spec import NormSpec
from limpide.layers.weights import Weights


class PerLayerInputs(nn.Module):
    """One vector per token and block: looked up by token, plus a projection of the token's first embedding."""

    def __init__(self, width: int, norm: NormSpec, weights: Weights, *, hidden: int) -> None:
        super().__init__()
        self.width = width
        self.embed = Embedding(weights.at("embed"), scale=math.sqrt(width))
        self.proj = Linear(weights.at("proj"))
        self.norm = make_norm(norm, weights.at("norm"))
        self._scale = hidden**-0.5

    def forward(self, tokens: Tensor, x: Tensor) -> Tensor:
        """Tokens [T] and their embeddings [T, hidden] to [T, blocks, width]."""
        looked_up = self.embed(tokens).view(x.shape[0], -1, self.width)
        projected = (self.proj(x) * self._scale).view_as(looked_up)
        mixed: Tensor = (self.norm(projected) + looked_up) * math.sqrt(0.5)
        return mixed


class PerLayerUpdate(nn.Module):
    """norm(proj(gelu(gate(x)) · input)): what one block adds to the residual stream from its part."""

    def __init__(self, norm: NormSpec, weights: Weights) -> None:
        super().__init__()
        self.gate = Linear(weights.at("gate"))
        self.proj = Linear(weights.at("proj"))
        self.norm = make_norm(norm, weights.at("norm"))

    def forward(self, x: Tensor, part: Tensor) -> Tensor:
        """The residual stream [T, hidden] and the block's part [T, width] to [T, hidden]."""
        gate = functional.gelu(self.gate(x), approximate="tanh")
        update: Tensor = self.norm(self.proj(gate * part))
        return update
