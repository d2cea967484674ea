"""y = x Wᵀ + b, whatever the weight is stored as."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.weights import Weight, Weights
from limpide.quant import StoredMatrix, multiply, multiply_all
from limpide.quant.multiply import MIN_ROWS


class Linear(nn.Module):
    """A matrix [out, in] with an optional bias.

    The weight is a float32 parameter (`exact`), or keeps its stored blocks and is multiplied from them (`fast`).
    Parameters are frozen when made: whoever tunes a model unfreezes what it trains.
    """

    def __init__(self, weights: Weights, *, bias: bool = False) -> None:
        super().__init__()
        weight = weights.matrix("weight")
        self.weight = nn.Parameter(weight, requires_grad=False) if isinstance(weight, Tensor) else weight
        self.bias = nn.Parameter(weights.vector("bias"), requires_grad=False) if bias else None

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        rows, cols = self.weight.shape
        return int(rows), int(cols)

    def forward(self, x: Tensor) -> Tensor:
        """[T, in] float32 to [T, out] float32."""
        return products(x, [self.weight], [self.bias])[0]

    def extra_repr(self) -> str:
        """Shape and stored format."""
        stored = self.weight.stored_as if isinstance(self.weight, StoredMatrix) else "float32"
        return f"{self.shape[0]}x{self.shape[1]}, {stored}, bias={self.bias is not None}"


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if weight.shape[0] == 1:
        # One output is computed by another routine than many, which adds up in an order of its own for each T.
        return _linear(x, weight.expand(2, -1), None if bias is None else bias.expand(2))[:, :1]
    rows = x.shape[0]
    if rows >= MIN_ROWS:
        return functional.linear(x, weight, bias)
    return functional.linear(functional.pad(x, (0, 0, 0, MIN_ROWS - rows)), weight, bias)[:rows]


def project(x: Tensor, *linears: Linear) -> list[Tensor]:
    """The same [T, in] through several matrices. Stored blocks share what has to be prepared of `x`."""
    return products(x, [linear.weight for linear in linears], [linear.bias for linear in linears])


def products(x: Tensor, weights: Sequence[Weight], biases: Sequence[Tensor | None]) -> list[Tensor]:
    """x Wᵀ + b, [T, in] to [T, out], for several matrices [out, in] and biases [out]."""
    stored = [weight for weight in weights if isinstance(weight, StoredMatrix)]
    if len(stored) == len(weights):
        results = multiply_all(x, stored)
        return [y if bias is None else y + bias for y, bias in zip(results, biases, strict=True)]
    return [_product(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def _product(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    if isinstance(weight, StoredMatrix):
        y = multiply(x, weight)
        return y if bias is None else y + bias
    return _linear(x, weight, bias)
