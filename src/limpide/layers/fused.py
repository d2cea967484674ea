"""A block's mathematics in a handful of kernels: what decoding and prompts run when nobody looks inside.

The plain path in `block` is the definition; this one computes the same from the stored blocks with activations rounded
to bytes, and tests hold the two together. A block that the kernels can't do (soft caps, sinks, partial or interleaved
rope, other formats) keeps the plain path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from limpide.kernels import matmul, paged
from limpide.kernels.buffers import Buffers, ByteRows
from limpide.layers.attention import Attention
from limpide.layers.linear import Linear
from limpide.layers.mlp import MLP
from limpide.layers.norm import Norm, RMSNorm
from limpide.layers.spec import AttentionSpec, BlockSpec, MLPSpec
from limpide.quant import QuantTensor

if TYPE_CHECKING:
    from limpide.layers.block import Block
    from limpide.layers.step import Step


@dataclass(frozen=True, slots=True)
class Product:
    """One matrix of a block, its bias if there is one, and the buffer that its result goes to."""

    name: str
    matrix: matmul.Matrix
    bias: Tensor | None

    @classmethod
    def of(cls, name: str, linear: Linear) -> Product:
        """A linear layer's. TypeError if its weight is not stored blocks."""
        weight = linear.weight
        if not isinstance(weight, QuantTensor):
            raise TypeError("the kernels want stored blocks")
        return cls(name, matmul.Matrix.of(weight.data, weight.format.name, weight.shape[1]), linear.bias)


Groups = list[list[Product]]
"""Products that one call of a kernel can make together."""


class FusedBlock:
    """The kernels' view of one block, whose weights stay what they were when it was made."""

    def __init__(self, block: Block, gate: matmul.Gate) -> None:
        attention, attn, mlp = block.spec.attention, block.attn, block.mlp
        if not isinstance(attn, Attention) or not isinstance(mlp, MLP) or attention.rope is None or mlp.gate is None:
            raise TypeError("the kernels want grouped-query attention with rope, and an MLP with a gate")
        if attn.k is None or attn.v is None:
            raise TypeError("the kernels want keys and values of the block's own")
        self._gate = gate
        self._heads = heads_of(block.spec)
        self._rope = attention.rope
        self.layer = attn.layer
        self._attn_norm, self._mlp_norm = _rms(block.attn_norm), _rms(block.mlp_norm)
        self._attn_post_norm, self._mlp_post_norm = _optional(block.attn_post_norm), _optional(block.mlp_post_norm)
        q_norm, k_norm = _optional(attn.q_norm), _optional(attn.k_norm)
        self._head_norms = None if q_norm is None or k_norm is None else (q_norm.weight, k_norm.weight)
        self._head_epsilon = 0.0 if q_norm is None else q_norm.eps
        self._qkv = _grouped(q=attn.q, k=attn.k, v=attn.v)
        self._gate_up = _grouped(gate=mlp.gate, up=mlp.up)
        self._o, self._down = Product.of("update", attn.o), Product.of("update", mlp.down)

    @classmethod
    def of(cls, block: Block) -> FusedBlock | None:
        """The fused form of a block, if the kernels can do all of it."""
        gate = _gate(block.spec)
        return cls(block, gate) if gate is not None and _supported(block) else None

    @property
    def window(self) -> int:
        """Keys that a query sees; 0: all."""
        return self._heads.window

    def __call__(self, x: Tensor, step: Step) -> Tensor:
        """The residual stream [T, hidden], changed in place."""
        q = self.store_keys(x, step)
        self._answer(x, q, step, step.work(self.window), step.rounding)
        return x

    def some(self, x: Tensor, step: Step, rows: Tensor) -> Tensor:
        """The residual stream of some rows, [R, hidden], after `store_keys` was called with all of them."""
        heads = self._heads
        q = step.buffers.tensor("q", x.shape[0], heads.heads * heads.head_dim)
        x, q = x[rows], q[rows]
        if len(rows):
            self._answer(x, q, step, step.work_of(rows, self.window), step.rounding_of(rows, Buffers()))
        return x

    def store_keys(self, x: Tensor, step: Step) -> Tensor:
        """Write the keys and values of the residual stream's rows to the cache; the queries, turned."""
        heads, buffers, rows = self._heads, step.buffers, x.shape[0]
        rounded = matmul.round_norm(x, self._attn_norm.weight, self._attn_norm.eps, step.rounding)
        _products(rounded, self._qkv, buffers)
        q = buffers.tensor("q", rows, heads.heads * heads.head_dim)
        paged.place(
            q,
            buffers.tensor("k", rows, heads.kv_heads * heads.head_dim),
            buffers.tensor("v", rows, heads.kv_heads * heads.head_dim),
            heads=heads,
            tables=step.tables(self._rope),
            slots=step.slots,
            pools=step.pages.pool(self.layer),
            norms=self._head_norms,
            epsilon=self._head_epsilon,
        )
        return q

    def _answer(self, x: Tensor, q: Tensor, step: Step, work: Sequence[paged.Work], how: matmul.Rounding) -> None:
        """What queries find, and the feed-forward part, added to the rows of `x`."""
        buffers = how.buffers
        mixed = buffers.tensor("mixed", *q.shape)
        for part in work:
            paged.attend(
                q,
                mixed,
                heads=self._heads,
                work=part,
                pools=step.pages.pool(self.layer),
                block_tables=step.block_tables,
                block_size=step.pages.block_size,
            )
        _add(x, matmul.round_plain(mixed, how), self._o, self._attn_post_norm, buffers)
        rounded = matmul.round_norm(x, self._mlp_norm.weight, self._mlp_norm.eps, how)
        gate, up = _products(rounded, self._gate_up, buffers)
        _add(x, matmul.round_gated(gate, up, self._gate, how), self._down, self._mlp_post_norm, buffers)


class FusedStack:
    """All blocks of a model. A step's kernels are recorded once, and played without Python in between."""

    def __init__(self, blocks: Sequence[FusedBlock]) -> None:
        self._blocks = blocks
        self._windows = tuple(dict.fromkeys(block.window for block in blocks))
        self._layers = tuple(block.layer for block in blocks)

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> FusedStack | None:
        """The stack, if the kernels can do all of every block."""
        fused = [block.fused for block in blocks]
        known = [block for block in fused if block is not None]
        return cls(known) if len(known) == len(fused) else None

    def __call__(self, x: Tensor, step: Step, rows: Tensor | None = None) -> Tensor:
        """The residual stream [T, hidden] of a fused step; or of some rows, for which alone the last block answers.

        Changes `x`, or moves it to the step's lasting buffers.
        """
        some = rows is not None and 2 * len(rows) <= x.shape[0]  # for most rows, all of them are as quick
        if step.buffers.lasting:
            x = step.buffers.hold("x", x)
            key = some, step.settle(self._windows, self._layers)
            step.buffers.again(key, lambda: self._run(x, step, some=some))
        else:
            self._run(x, step, some=some)
        if rows is None:
            return x
        return self._blocks[-1].some(x, step, rows) if some else x[rows]

    def _run(self, x: Tensor, step: Step, *, some: bool) -> None:
        for block in self._blocks[:-1]:
            block(x, step)
        if some:
            self._blocks[-1].store_keys(x, step)
        else:
            self._blocks[-1](x, step)


def normed(norm: Norm, x: Tensor) -> Tensor:
    """norm(x), without waking torch's threads where a kernel can do it."""
    if isinstance(norm, RMSNorm) and x.shape[1] % 32 == 0:
        return matmul.norm(x, norm.weight, norm.eps)
    y: Tensor = norm(x)
    return y


def heads_of(spec: BlockSpec) -> paged.Heads:
    """The shape of a block's attention as the kernels want it."""
    attention = spec.attention
    if not isinstance(attention, AttentionSpec):
        raise TypeError("the kernels want grouped-query attention")
    window = attention.mask.size if attention.mask.kind == "window" else 0
    return paged.Heads(attention.heads, attention.kv_heads, attention.head_dim, attention.scale, window)


def _products(x: ByteRows, groups: Groups, buffers: Buffers) -> list[Tensor]:
    """x times each matrix, into the buffers that go by the products' names."""
    results = []
    for products in groups:
        outs = [buffers.tensor(product.name, x.rows, product.matrix.rows) for product in products]
        biases = [product.bias for product in products if product.bias is not None]
        if biases:
            matmul.put_biases(outs, biases)
        matmul.multiply(x, [product.matrix for product in products], outs, add=bool(biases))
        results += outs
    return results


def _add(x: Tensor, rounded: ByteRows, product: Product, norm: RMSNorm | None, buffers: Buffers) -> None:
    """x += norm(rounded · Wᵀ + b), in place."""
    if norm is None:
        matmul.multiply(rounded, [product.matrix], [x], add=True)
        if product.bias is not None:
            matmul.put_biases([x], [product.bias], add=True)
    else:
        (y,) = _products(rounded, [[product]], buffers)
        matmul.add_norm(x, y, norm.weight, norm.eps)


def _grouped(**linears: Linear) -> Groups:
    """Linear layers by what one kernel call can take: one format, and all with biases or all without."""
    groups: dict[tuple[str, bool], list[Product]] = {}
    for name, linear in linears.items():
        product = Product.of(name, linear)
        groups.setdefault((product.matrix.format_name, product.bias is not None), []).append(product)
    return list(groups.values())


def _rms(norm: Norm) -> RMSNorm:
    if not isinstance(norm, RMSNorm):
        raise TypeError("the kernels want root-mean-square norms")
    return norm


def _optional(norm: Norm | None) -> RMSNorm | None:
    return None if norm is None else _rms(norm)


def _gate(spec: BlockSpec) -> matmul.Gate | None:
    if not isinstance(spec.feed_forward, MLPSpec):
        return None
    activation = spec.feed_forward.activation
    if not spec.feed_forward.gated or activation not in ("silu", "gelu_tanh"):
        return None
    return "silu" if activation == "silu" else "gelu_tanh"


def _supported(block: Block) -> bool:
    spec = block.spec
    if not isinstance(spec.attention, AttentionSpec):
        return False
    attention, rope = spec.attention, spec.attention.rope
    linears = [module for module in block.modules() if isinstance(module, Linear)]
    return (
        all(
            isinstance(linear.weight, QuantTensor)
            and matmul.supports(linear.weight.format.name, linear.shape[1])
            and (linear.bias is None or linear.bias.is_contiguous())
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
    if not isinstance(a, AttentionSpec) or not isinstance(mlp, MLPSpec):
        raise TypeError("the kernels want grouped-query attention and an MLP")
    return BlockSpec(
        AttentionSpec(
            *(a.heads, a.kv_heads, a.head_dim, a.scale, a.rope, a.mask, a.qk_norm),
            qkv_bias=a.qkv_bias,
            out_bias=a.out_bias,
        ),
        MLPSpec(mlp.width, mlp.activation, mlp.gated, mlp.bias),
        spec.norm,
        spec.placement,
    )
