"""A block's mathematics in a handful of kernels: what decoding and prompts run when nobody looks inside.

The plain path in `block` is the definition; this one computes the same from the stored blocks with activations rounded
to bytes, and tests hold the two together. A block that the kernels can't do (biases, soft caps, sinks, partial or
interleaved rope, other formats) keeps the plain path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from limpide.kernels import matmul, paged
from limpide.layers.linear import Linear
from limpide.layers.norm import Norm, RMSNorm
from limpide.layers.spec import AttentionSpec, BlockSpec, MLPSpec
from limpide.quant import QuantTensor

if TYPE_CHECKING:
    from limpide.layers.block import Block
    from limpide.layers.step import Step


class FusedBlock:
    """The kernels' view of one block. Holds no weights of its own."""

    def __init__(self, block: Block, gate: matmul.Gate) -> None:
        self._block = block
        attention = block.spec.attention
        mask = attention.mask
        self._gate = gate
        self._heads = heads_of(block.spec)
        self._rope = attention.rope
        self._window = mask.size if mask.kind == "window" else 0
        self._layer = block.attn.layer

    @classmethod
    def of(cls, block: Block) -> FusedBlock | None:
        """The fused form of a block, if the kernels can do all of it."""
        gate = _gate(block.spec)
        return cls(block, gate) if gate is not None and _supported(block) else None

    def __call__(self, x: Tensor, step: Step) -> Tensor:
        """The residual stream [T, hidden], changed in place."""
        self._attention(x, step)
        self._mlp(x)
        return x

    def _attention(self, x: Tensor, step: Step) -> None:
        block, attn, pages = self._block, self._block.attn, step.kv.pages
        if pages is None or self._rope is None:
            raise AssertionError("the fused path was chosen without pages or rope")
        norm, q_norm, k_norm = _rms(block.attn_norm), attn.q_norm, attn.k_norm
        rounded = matmul.round_norm(x, norm.weight, norm.eps)
        q, k, v = _multiply(rounded, (attn.q, attn.k, attn.v))
        pools = pages.pool(self._layer)
        paged.place(
            q,
            k,
            v,
            heads=self._heads,
            tables=step.tables(self._rope),
            slots=pages.slots,
            pools=pools,
            norms=None if q_norm is None or k_norm is None else (_rms(q_norm).weight, _rms(k_norm).weight),
            epsilon=0.0 if q_norm is None else q_norm.eps,
        )
        mixed = paged.attend(
            q,
            heads=self._heads,
            work=step.work(self._window),
            pools=pools,
            block_tables=pages.block_tables,
            block_size=pages.block_size,
        )
        _add(x, matmul.round_plain(mixed), attn.o, block.attn_post_norm)

    def _mlp(self, x: Tensor) -> None:
        block, mlp = self._block, self._block.mlp
        if mlp.gate is None:
            raise AssertionError("the fused path was chosen without a gate")
        norm = _rms(block.mlp_norm)
        rounded = matmul.round_norm(x, norm.weight, norm.eps)
        gate, up = _multiply(rounded, (mlp.gate, mlp.up))
        _add(x, matmul.round_gated(gate, up, self._gate), mlp.down, block.mlp_post_norm)


def heads_of(spec: BlockSpec) -> paged.Heads:
    """The shape of a block's attention as the kernels want it."""
    attention = spec.attention
    window = attention.mask.size if attention.mask.kind == "window" else 0
    return paged.Heads(attention.heads, attention.kv_heads, attention.head_dim, attention.scale, window)


def _multiply(x: matmul.ByteRows, linears: tuple[Linear, ...]) -> list[Tensor]:
    weights = [_blocks(linear) for linear in linears]
    formats = {weight.format.name for weight in weights}
    if len(formats) == 1:
        return matmul.multiply(x, [weight.data for weight in weights], formats.pop())
    return [matmul.multiply(x, [weight.data], weight.format.name)[0] for weight in weights]


def _add(x: Tensor, rounded: matmul.ByteRows, linear: Linear, norm: Norm | None) -> None:
    """x += norm(rounded · Wᵀ), in place."""
    weight = _blocks(linear)
    if norm is None:
        matmul.multiply(rounded, [weight.data], weight.format.name, add_to=x)
    else:
        (y,) = matmul.multiply(rounded, [weight.data], weight.format.name)
        matmul.add_norm(x, y, _rms(norm).weight, norm.eps)


def _rms(norm: Norm) -> RMSNorm:
    if not isinstance(norm, RMSNorm):
        raise TypeError("the fused path was chosen for another norm")
    return norm


def _blocks(linear: Linear) -> QuantTensor:
    weight = linear.weight
    if not isinstance(weight, QuantTensor):
        raise TypeError("the fused path was chosen for expanded weights")
    return weight


def _gate(spec: BlockSpec) -> matmul.Gate | None:
    activation = spec.feed_forward.activation
    if not spec.feed_forward.gated or activation not in ("silu", "gelu_tanh"):
        return None
    return "silu" if activation == "silu" else "gelu_tanh"


def _supported(block: Block) -> bool:
    spec = block.spec
    attention, rope = spec.attention, spec.attention.rope
    linears = [module for module in block.modules() if isinstance(module, Linear)]
    return (
        all(
            isinstance(linear.weight, QuantTensor)
            and linear.bias is None
            and matmul.supports(linear.weight.format.name, linear.shape[1])
            for linear in linears
        )
        and spec == _known(spec)
        and all(norm.kind == "rms" and norm.weighted for norm in (spec.norm, attention.qk_norm) if norm is not None)
        and attention.mask.kind != "chunk"
        and rope is not None
        and rope.style == "half"
        and rope.dims == attention.head_dim
        and paged.supports(heads_of(spec))
    )


def _known(spec: BlockSpec) -> BlockSpec:
    """The same block without any switch that the kernels don't know: whatever is added to the description later."""
    a, mlp = spec.attention, spec.feed_forward
    return BlockSpec(
        AttentionSpec(a.heads, a.kv_heads, a.head_dim, a.scale, a.rope, a.mask, a.qk_norm),
        MLPSpec(mlp.width, mlp.activation, mlp.gated),
        spec.norm,
        spec.placement,
    )
