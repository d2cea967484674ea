"""Root-mean-square norm (arXiv:1910.07467) and layer norm (arXiv:1607.06450)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.spec import NormSpec
from limpide.layers.weights import Weights


class RMSNorm(nn.Module):
    """x / √(mean(x²) + eps) · weight over the last dimension, computed in float32."""

    def __init__(self, spec: NormSpec, weights: Weights) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights.vector("weight"), requires_grad=False)
        self.eps = spec.eps
        self.mul_in_fp32 = spec.mul_in_fp32
        self._dims = (self.weight.shape[0],)

    def forward(self, x: Tensor) -> Tensor:
        """[..., n] to [..., n], in the type of `x`."""
        if x.dtype == torch.float32:
            return functional.rms_norm(x, self._dims, self.weight, self.eps)
        if self.mul_in_fp32:
            return functional.rms_norm(x.float(), self._dims, self.weight, self.eps).to(x.dtype)
        return functional.rms_norm(x.float(), self._dims, None, self.eps).to(x.dtype) * self.weight.to(x.dtype)


class LayerNorm(nn.Module):
    """(x − mean) / √(variance + eps) · weight + bias over the last dimension."""

    def __init__(self, spec: NormSpec, weights: Weights) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights.vector("weight"), requires_grad=False)
        self.bias = nn.Parameter(weights.vector("bias"), requires_grad=False) if spec.bias else None
        self.eps = spec.eps
        self._dims = (self.weight.shape[0],)

    def forward(self, x: Tensor) -> Tensor:
        """[..., n] to [..., n]."""
        return functional.layer_norm(x, self._dims, self.weight, self.bias, self.eps)


class Unit(nn.Module):
    """A norm without weight: x / √(mean(x²) + eps), or (x − mean) / √(variance + eps)."""

    def __init__(self, spec: NormSpec) -> None:
        super().__init__()
        self.eps = spec.eps
        self._norm = functional.rms_norm if spec.kind == "rms" else functional.layer_norm

    def forward(self, x: Tensor) -> Tensor:
        """[..., n] to [..., n]."""
        return self._norm(x, (x.shape[-1],), eps=self.eps)


Norm = RMSNorm | LayerNorm | Unit


def make_norm(spec: NormSpec, weights: Weights) -> Norm:
    """The norm that the description asks for."""
    if not spec.weighted:
        return Unit(spec)
    return RMSNorm(spec, weights) if spec.kind == "rms" else LayerNorm(spec, weights)
