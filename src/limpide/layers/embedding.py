"""Token to vector."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.weights import Weights
from limpide.quant import StoredMatrix


class Embedding(nn.Module):
    """One row [hidden] per token of the vocabulary, times `scale`. Of stored blocks only asked rows are expanded."""

    def __init__(self, weights: Weights, *, scale: float = 1.0) -> None:
        super().__init__()
        weight = weights.matrix("weight")
        self.weight = nn.Parameter(weight, requires_grad=False) if isinstance(weight, Tensor) else weight
        self.scale = scale

    def forward(self, tokens: Tensor) -> Tensor:
        """[T] int64 to [T, hidden] float32."""
        if isinstance(self.weight, StoredMatrix):
            x = self.weight.unpack(tokens)
        else:
            x = functional.embedding(tokens, self.weight)
        return x if self.scale == 1.0 else x * self.scale
