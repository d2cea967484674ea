"""What recurrent layers share: the convolution before the recurrence, and the recurrence in runs of positions.

Runs begin at multiples of RUN positions of a sequence, wherever its steps begin. A state is that of the last full
run; the inputs after it are kept as they are and read again by the next step. So a token's result is made by the
same operations on the same shapes whether its text came in one piece, in chunks or token by token, and is the same
bits. Functions such as an exponential belong into the run for the same reason: their last bits depend on how many
numbers they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from limpide.layers.spec import RUN
from limpide.layers.step import Step
from limpide.layers.weights import Weights

Shapes = tuple[tuple[int, ...], ...]
Run = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From the inputs [RUN, width] and the state before a run to its results [RUN, …] and the state after it."""


class Convolution(nn.Module):
    """Each channel's weighted sum over the last `kernel` tokens."""

    def __init__(self, weights: Weights, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights.expanded("weight"), requires_grad=False)
        self.bias = nn.Parameter(weights.vector("bias"), requires_grad=False) if bias else None

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """[n, channels], and the kernel − 1 inputs before them; returns results and what the next call wants."""
        whole = torch.cat((before, x))
        # Tap by tap and not as a convolution, whose order of additions depends on the length.
        total = whole[: len(x)] * self.weight[:, 0]
        for at in range(1, self.weight.shape[1]):
            total = total + whole[at : at + len(x)] * self.weight[:, at]
        if self.bias is not None:
            total = total + self.bias
        return total, whole[len(x) :]


def recur(
    x: Tensor, rest: Tensor, *, layer: int, shapes: Shapes, step: Step, convolution: Convolution, run: Run
) -> Tensor:
    """Every sequence of a step through a layer's convolution and recurrence, from its state to its next state.

    `x` [T, channels] is convolved; `rest` [T, …] joins the recurrence's inputs as it is. Returns [T, …].
    """
    kv = step.kv
    results = []
    for sequence, (start, stop) in enumerate(pairwise(kv.query_starts)):
        if start == stop:
            continue
        before, pending, state = kv.read_state(layer, sequence) or tuple(x.new_zeros(shape) for shape in shapes)
        convolved, before = convolution(x[start:stop], before)
        past = kv.kv_lengths[sequence] - (stop - start)
        rows = torch.cat((convolved, rest[start:stop]), dim=-1)
        result, pending, state = in_runs(rows, pending, state, past=past, run=run)
        kv.write_state(layer, sequence, (before, pending, state))
        results.append(result)
    return results[0] if len(results) == 1 else torch.cat(results)


def in_runs(rows: Tensor, pending: Tensor, state: Tensor, *, past: int, run: Run) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs [n, width] after `past` positions, of which the unfinished run's lead `pending` [RUN, width].

    Returns results [n, …], and the pending inputs and the state after them.
    """
    offset = past % RUN
    rows = torch.cat((pending[:offset], rows))
    results = []
    for start in range(0, len(rows), RUN):
        inputs = rows[start : start + RUN]
        missing = RUN - len(inputs)
        result, after = run(functional.pad(inputs, (0, 0, 0, missing)), state)
        results.append(result)
        if not missing:
            state = after
    unfinished = rows[len(rows) - len(rows) % RUN :]
    return torch.cat(results)[offset : len(rows)], functional.pad(unfinished, (0, 0, 0, RUN - len(unfinished))), state
