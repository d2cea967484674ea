"""A mixture of experts in the MLP's place: each token goes through the few experts that a router chooses for it.

Only the chosen experts' weights are read, so of a mapped file the others need not even be in memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpide.core.errors import InvalidParameter
from limpide.kernels import matmul
from limpide.kernels.buffers import Buffers
from limpide.layers import expert_kernels
from limpide.layers.expert_kernels import ExpertKernels
from limpide.layers.linear import Linear, products
from limpide.layers.mlp import MLP, neurons_of
from limpide.layers.norm import make_norm
from limpide.layers.router import Routing, route, sigmoid, weigh
from limpide.layers.spec import MLPSpec, MoESpec, NormSpec, RouterSpec
from limpide.layers.step import Step
from limpide.layers.taps import Taps
from limpide.layers.weights import ExpertStack, Weight, Weights


class MoE(nn.Module):
    """Router, experts, and the expert that every token uses where there is one. Taps are `blocks.N.moe.`."""

    def __init__(self, spec: MoESpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.spec = spec
        self.experts = Experts(spec.expert, weights.at("experts"))
        self.router = Router(spec.router, weights.at("router"), by_kernels=self.experts.by_kernels)
        self.shared = MLP(spec.shared, weights.at("shared"), layer) if spec.shared is not None else None
        self.shared_gate = Linear(weights.at("shared_gate")) if spec.shared_gate else None
        self._tap = f"blocks.{layer}.moe."

    def forward(self, x: Tensor, step: Step, routed: Tensor | None = None) -> Tensor:
        """[T, hidden] to [T, hidden]. The router reads `routed`, if it isn't what the experts read."""
        taps = step.taps
        routing = self._route(x if routed is None else routed, taps)
        weigh_input = self.spec.router.weight_on == "input"
        outputs = self.experts(x, routing.experts, routing.weights if weigh_input else None, step.buffers)
        if taps is not None:
            outputs = taps(self._tap + "outputs", outputs)
        mixed = _mix(outputs, None if weigh_input else routing.weights)
        return mixed if self.shared is None else mixed + self._shared(x, self.shared, step)

    def _route(self, x: Tensor, taps: Taps | None) -> Routing:
        router, here = self.router, self._tap
        logits = router(x)
        if taps is None:
            return route(router.spec, logits, router.choice_bias, router.expert_scale)
        routing = route(router.spec, taps(here + "logits", logits), router.choice_bias, router.expert_scale)
        experts = taps(here + "experts", routing.experts)
        if experts is not routing.experts:
            _check_choice(here + "experts", experts, router.spec.experts)
            weights = weigh(router.spec, routing.logits, experts, router.expert_scale)
            routing = Routing(routing.logits, experts, weights)
        return routing._replace(weights=taps(here + "weights", routing.weights))

    def _shared(self, x: Tensor, shared: MLP, step: Step) -> Tensor:
        output: Tensor = shared(x, step)
        if self.shared_gate is not None:
            output = output * sigmoid(self.shared_gate(x))
        return output if step.taps is None else step.taps(self._tap + "shared", output)


class ExpertsBeside(nn.Module):
    """A mixture of experts beside a block's MLP: both results are normed, and added."""

    def __init__(self, spec: MoESpec, norm: NormSpec, weights: Weights, layer: int) -> None:
        super().__init__()
        self.moe = MoE(spec, weights, layer)
        self.norm = make_norm(norm, weights.at("norm"))
        self.post_norm = make_norm(norm, weights.at("post_norm"))
        self.mlp_post_norm = make_norm(norm, weights.at("mlp_post_norm"))

    def forward(self, mlp_output: Tensor, x: Tensor, step: Step) -> Tensor:
        """What the MLP gave [T, hidden] joined by what the experts make of the residual stream x [T, hidden]."""
        output: Tensor = self.mlp_post_norm(mlp_output) + self.post_norm(self.moe(self.norm(x), step, routed=x))
        return output


class Router(nn.Module):
    """The matrix that scores experts. It is small and decides much, so it is float32 however it is stored."""

    def __init__(self, spec: RouterSpec, weights: Weights, *, by_kernels: bool) -> None:
        super().__init__()
        self.spec = spec
        self._by_kernels = by_kernels
        self.weight = _frozen(weights.expanded("weight"))
        self.bias = _frozen(weights.vector("bias")) if spec.bias else None
        self.choice_bias = _frozen(weights.vector("choice_bias")) if spec.choice_bias else None
        self.expert_scale = _frozen(weights.vector("expert_scale")) if spec.expert_scale else None
        self.norm = make_norm(spec.norm, weights.at("norm")) if spec.norm is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """[T, hidden] to logits [T, experts]."""
        if self.norm is not None:
            x = self.norm(x)
        if self.spec.input_scale != 1.0:
            x = x * self.spec.input_scale
        if not self._by_kernels or torch.is_grad_enabled() or x.shape[1] % 32:
            return products(x, [self.weight], [self.bias])[0]
        logits = matmul.multiply_dense(x.contiguous(), self.weight)
        return logits if self.bias is None else logits + self.bias


class Experts(nn.Module):
    """MLPs of one shape. Their matrices lie in stacks, of which one expert's are taken at a time."""

    def __init__(self, spec: MLPSpec, weights: Weights) -> None:
        super().__init__()
        self.gate = Stacked(weights.at("gate"), bias=spec.bias) if spec.gated else None
        self.up = Stacked(weights.at("up"), bias=spec.bias)
        self.down = Stacked(weights.at("down"), bias=spec.bias)
        self._neurons = neurons_of(spec)
        seen = [None if stack is None else stack.seen_by_kernels() for stack in (self.gate, self.up, self.down)]
        self._kernels = ExpertKernels.of(spec, *seen)

    @property
    def by_kernels(self) -> bool:
        """Whether kernels multiply from them, unless gradients are wanted."""
        return self._kernels is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all experts as they are held."""
        stacks = [stack for stack in (self.gate, self.up, self.down) if stack is not None]
        return sum(stack.weight.nbytes + (0 if stack.bias is None else stack.bias.nbytes) for stack in stacks)

    def forward(
        self, x: Tensor, experts: Tensor, weights: Tensor | None = None, buffers: Buffers | None = None
    ) -> Tensor:
        """Each token's results by its chosen `experts` [T, chosen]: x [T, hidden] to [T, chosen, hidden].

        `weights` [T, chosen] multiply what an expert reads. `buffers` are the kernels' to use.
        """
        if self._kernels is not None and not torch.is_grad_enabled():
            return self._kernels(x.contiguous(), experts, weights, buffers or Buffers())
        num_tokens, num_chosen = experts.shape
        order = experts.flatten().argsort(stable=True)
        results, start = [], 0
        for expert, count in enumerate(experts.flatten().bincount().tolist()):
            if count == 0:
                continue
            slots = order[start : start + count]
            start += count
            read = x[slots // num_chosen]
            if weights is not None:
                read = read * weights.flatten()[slots, None]
            results.append(self._one(expert, read))
        return torch.cat(results)[order.argsort()].view(num_tokens, num_chosen, -1)

    def _one(self, expert: int, x: Tensor) -> Tensor:
        """One expert's MLP: [n, hidden] to [n, hidden]."""
        stacks = [self.up] if self.gate is None else [self.up, self.gate]
        up, *gate = products(x, [stack.matrix(expert) for stack in stacks], [stack.vector(expert) for stack in stacks])
        neurons = self._neurons(gate[0] if gate else None, up)
        return products(neurons, [self.down.matrix(expert)], [self.down.vector(expert)])[0]


class Stacked(nn.Module):
    """One matrix of every expert: a float32 parameter [experts, out, in] (`exact`), or each as stored (`fast`)."""

    def __init__(self, weights: Weights, *, bias: bool) -> None:
        super().__init__()
        weight = weights.stack("weight")
        self.weight: nn.Parameter | ExpertStack = _frozen(weight) if isinstance(weight, Tensor) else weight
        self.bias = _frozen(weights.expanded("bias")) if bias else None

    def matrix(self, expert: int) -> Weight:
        """One expert's [out, in]."""
        return self.weight[expert] if isinstance(self.weight, Tensor) else self.weight.matrix(expert)

    def seen_by_kernels(self) -> expert_kernels.Stacked | None:
        """The kernels' view of it, if they can multiply from it."""
        return expert_kernels.Stacked.of(self.weight, self.bias)

    def vector(self, expert: int) -> Tensor | None:
        """One expert's bias [out]."""
        return None if self.bias is None else self.bias[expert]


def _frozen(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)


def _mix(outputs: Tensor, weights: Tensor | None) -> Tensor:
    """The sum over chosen experts, [T, chosen, hidden] to [T, hidden], in the same order for any number of tokens."""
    parts = outputs.unbind(1)
    if weights is not None:
        parts = tuple(part * weight[:, None] for part, weight in zip(parts, weights.unbind(1), strict=True))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _check_choice(tap: str, experts: Tensor, count: int) -> None:
    """A tap's choice is an index into the experts. Raises InvalidParameter."""
    if experts.dtype != torch.int64 or not bool(((experts >= 0) & (experts < count)).all()):
        raise InvalidParameter(f"tap {tap}", experts.tolist()[:1], f"int64 numbers of experts, 0 to {count - 1}")
