"""A mixture's experts by kernels, straight from their stored stacks: each chosen expert's weights are read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.kernels import experts as kernels
from limpide.kernels import matmul
from limpide.kernels.buffers import Buffers, ByteRows
from limpide.layers.spec import MLPSpec
from limpide.layers.weights import ExpertStack
from limpide.quant import QuantStack, QuantTensor

RoundNeurons = Callable[[Tensor, Tensor, matmul.Rounding], ByteRows]
"""From gate and up [n, width] to rounded neurons."""


@dataclass(frozen=True, slots=True)
class Stacked:
    """One matrix of every expert as the kernels see it, and the experts' biases [experts, out]."""

    stack: kernels.Stack
    bias: Tensor | None

    @classmethod
    def of(cls, weight: Tensor | ExpertStack, bias: Tensor | None) -> Stacked | None:
        """None if the kernels can't multiply from it: blocks of one format that they know, whose rows run along."""
        if not isinstance(weight, QuantStack) or weight.layout.transposed:
            return None
        start, step = {"all": (0, 1), "first": (0, 1), "second": (weight.shape[1], 1), "even": (0, 2), "odd": (1, 2)}[
            weight.layout.part
        ]
        stored = [tensor for tensor in weight.stored if isinstance(tensor, QuantTensor)]
        formats = {tensor.format.name for tensor in stored}
        if len(stored) < len(weight.stored) or len(formats) != 1:
            return None
        _, rows, columns = weight.shape
        (name,) = formats
        if not matmul.supports(name, columns):
            return None
        row_bytes = stored[0].row_bytes
        addresses = tuple(tensor.address + start * row_bytes for tensor in stored)
        return cls(kernels.Stack(name, columns, rows, step * row_bytes, addresses, weight), bias)


class ExpertKernels:
    """The kernels' view of gated experts, whose weights stay what they were when it was made."""

    def __init__(self, neurons: RoundNeurons, gate: Stacked, up: Stacked, down: Stacked) -> None:
        self._round_neurons = neurons
        self._gate, self._up, self._down = gate, up, down

    @classmethod
    def of(cls, spec: MLPSpec, gate: Stacked | None, up: Stacked | None, down: Stacked | None) -> ExpertKernels | None:
        """If the kernels can do all of it."""
        neurons = _neurons(spec)
        if neurons is None or gate is None or up is None or down is None:
            return None
        return cls(neurons, gate, up, down)

    def __call__(self, x: Tensor, experts: Tensor, weights: Tensor | None, buffers: Buffers) -> Tensor:
        """Each token's results by its chosen `experts` [T, chosen]: x [T, hidden] to [T, chosen, hidden].

        `weights` [T, chosen] multiply what an expert reads. A token's result does not depend on the others.
        """
        num_tokens, num_chosen = experts.shape
        if num_tokens == 1 and weights is None:  # all experts read the same row, and nothing has to be sorted
            chosen, order = experts[0], None
            rounded = matmul.round_plain(x, matmul.Rounding(buffers))
            read = [kernels.Run(expert, 0, i, 1) for i, expert in enumerate(chosen.tolist())]
        else:
            flat = experts.flatten()
            order = flat.argsort(stable=True)
            chosen, tokens = flat[order], order // num_chosen
            read = _runs(flat)
            if weights is None:
                rounded = matmul.round_plain(x, matmul.Rounding(buffers)).take(tokens)
            else:
                rounded = matmul.round_plain(x[tokens] * weights.flatten()[order, None], matmul.Rounding(buffers))
        gate, up = self._products(rounded, read, chosen, buffers, gate=self._gate, up=self._up)
        neurons = self._round_neurons(gate, up, matmul.Rounding(buffers))
        written = [kernels.Run(run.expert, run.out_row, run.out_row, run.count) for run in read]
        (output,) = self._products(neurons, written, chosen, buffers, down=self._down)
        # a new tensor, for the buffer is the next layer's too
        output = output.clone() if order is None else torch.empty_like(output).index_copy_(0, order, output)
        return output.view(num_tokens, num_chosen, -1)

    def _products(
        self, x: ByteRows, runs: list[kernels.Run], chosen: Tensor, buffers: Buffers, **stacks: Stacked
    ) -> list[Tensor]:
        """Each run's rows times its expert's matrices, biases included: a row for each entry of `chosen`."""
        outs = {name: buffers.tensor(f"experts {name}", len(chosen), s.stack.rows) for name, s in stacks.items()}
        groups: dict[tuple[str, bool], list[str]] = {}
        for name, stacked in stacks.items():
            if stacked.bias is not None:
                torch.index_select(stacked.bias, 0, chosen, out=outs[name])
            groups.setdefault((stacked.stack.format_name, stacked.bias is not None), []).append(name)
        for (_, biased), names in groups.items():
            kernels.multiply(
                x, runs, [stacks[name].stack for name in names], [outs[name] for name in names], add=biased
            )
        return list(outs.values())


def _runs(experts: Tensor) -> list[kernels.Run]:
    """The rows of each expert, when they are sorted by expert."""
    runs, start = [], 0
    for expert, count in enumerate(experts.bincount().tolist()):
        if count:
            runs.append(kernels.Run(expert, start, start, count))
            start += count
    return runs


def _neurons(spec: MLPSpec) -> RoundNeurons | None:
    """What experts do between their matrices, if a kernel does it."""
    clamp, activation = spec.clamp, spec.activation
    if not spec.gated or spec.width % 32:
        return None
    if clamp is not None:
        return lambda gate, up, how: matmul.round_clamped(gate, up, clamp.alpha, clamp.limit, how)
    if activation in ("silu", "gelu_tanh"):
        return lambda gate, up, how: matmul.round_gated(gate, up, activation, how)
    return None
