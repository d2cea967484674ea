"""The kernels' blocks held against the plain ones: same weights, same cache, same results up to rounding."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from limpide.cache import PagedCache
from limpide.kernels.buffers import MOST_RECORDINGS, Buffers, LastingBuffers
from limpide.kernels.matmul import FEW
from limpide.layers.block import Block
from limpide.layers.fused import FusedStack
from limpide.layers.rope import RopeTable
from limpide.layers.spec import AttentionSpec, BlockSpec, MaskSpec, MLPSpec, NormSpec, RopeSpec
from limpide.layers.step import FINE_POSITIONS, Step
from limpide.layers.taps import Taps
from limpide.layers.weights import Weights
from limpide.quant import get_format
from limpide.quant.tensor import QuantTensor

HIDDEN, WIDTH, DIM = 128, 256, 32
PLAIN = BlockSpec(
    AttentionSpec(4, 2, DIM, DIM**-0.5, rope=RopeSpec(10000.0, DIM)), MLPSpec(WIDTH), NormSpec(1e-5), placement="pre"
)
QWEN2 = replace(PLAIN, attention=replace(PLAIN.attention, qkv_bias=True))
BIASES = replace(
    PLAIN,
    attention=replace(PLAIN.attention, qkv_bias=True, out_bias=True),
    feed_forward=MLPSpec(WIDTH, bias=True),
)
GEMMA = replace(
    PLAIN,
    attention=replace(PLAIN.attention, qk_norm=NormSpec(1e-6), mask=MaskSpec("window", 20)),
    feed_forward=MLPSpec(WIDTH, "gelu_tanh"),
    placement="sandwich",
)


def block(spec: BlockSpec) -> Block:
    generator = torch.Generator().manual_seed(3)

    def matrix(rows: int, columns: int) -> QuantTensor:
        stored = get_format("Q8_0")
        blocks = torch.randint(0, 256, (rows * columns // 32, 34), generator=generator).to(torch.uint8)
        blocks[:, :2] = torch.full((len(blocks), 1), 0.001, dtype=torch.float16).view(torch.uint8)
        return QuantTensor(stored, (rows, columns), blocks.view(rows, -1))

    def vector(size: int) -> torch.Tensor:
        return torch.rand(size, generator=generator) + 0.5

    attention = spec.attention
    queries, keys = attention.heads * DIM, attention.kv_heads * DIM
    tensors = {
        "attn.q.weight": matrix(queries, HIDDEN),
        "attn.k.weight": matrix(keys, HIDDEN),
        "attn.v.weight": matrix(keys, HIDDEN),
        "attn.o.weight": matrix(HIDDEN, queries),
        "mlp.gate.weight": matrix(WIDTH, HIDDEN),
        "mlp.up.weight": matrix(WIDTH, HIDDEN),
        "mlp.down.weight": matrix(HIDDEN, WIDTH),
        **{f"{name}.weight": vector(HIDDEN) for name in ("attn_norm", "mlp_norm", "attn_post_norm", "mlp_post_norm")},
        **{f"attn.{name}.weight": vector(DIM) for name in ("q_norm", "k_norm")},
    }
    for name in [name for name in tensors if isinstance(tensors[name], QuantTensor)]:
        tensors[name.replace("weight", "bias")] = vector(tensors[name].shape[0]) - 1
    return Block(spec, Weights(tensors), 0)


def run(layer: Block, lengths: list[tuple[int, ...]], *, fused: bool) -> list[torch.Tensor]:
    """Sequences that grow by the given numbers of tokens, all in the same steps; results per sequence."""
    rope = layer.spec.attention.rope
    assert rope is not None
    cache = PagedCache([(layer.spec.attention.kv_heads, DIM, DIM)], 64, dtype=torch.float16)
    leases = [cache.open() for _ in lengths]
    generators = [torch.Generator().manual_seed(index) for index in range(len(lengths))]
    done = [0] * len(lengths)
    results: list[list[torch.Tensor]] = [[] for _ in lengths]
    lasting = LastingBuffers()
    for counts in zip(*lengths, strict=True):
        for lease, start, count in zip(leases, done, counts, strict=True):
            assert cache.reserve(lease, start + count)
        view = cache.view(list(zip(leases, done, counts, strict=True)))
        x = torch.cat([torch.randn(c, HIDDEN, generator=g) for c, g in zip(counts, generators, strict=True)])
        positions = torch.cat([torch.arange(s, s + c) for s, c in zip(done, counts, strict=True)])
        with torch.inference_mode():
            rotation = RopeTable(rope).rotation(positions, view.query_starts, view.kv_lengths)
            buffers = lasting.at(len(x)) if len(x) <= FEW else None
            step = Step(view, {rope: rotation}, None if fused else Taps({}), buffers)
            assert step.fused is fused
            y = layer(x.clone(), step).clone()
        for index, part in enumerate(y.split(list(counts))):
            results[index].append(part)
        done = [s + c for s, c in zip(done, counts, strict=True)]
    return [torch.cat(parts) for parts in results]


@pytest.mark.parametrize(
    "spec",
    [PLAIN, QWEN2, BIASES, GEMMA, replace(BIASES, placement="sandwich")],
    ids=["llama", "qwen2", "biases", "gemma", "biases before norms"],
)
@pytest.mark.parametrize(
    "lengths",
    [[(1,) * 30], [(150, 1, 1)], [(70, 5, 64)], [(3, 3, 2), (90, 1, 1), (1, 1, 40)], [(2, 1), (3, 1), (4, 1)]],
    ids=["decode", "prompt", "chunks", "mixed", "few"],
)
def test_agrees_with_the_plain_block(
    spec: BlockSpec, lengths: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpide.layers.step.FINE_POSITIONS", 10**6)  # as the plain block rounds
    layer = block(spec)
    for fused, plain in zip(run(layer, lengths, fused=True), run(layer, lengths, fused=False), strict=True):
        assert (fused - plain).norm() / plain.norm() < 5e-3


@pytest.mark.parametrize("bias", ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down"])
def test_every_bias_counts(bias: str) -> None:
    layer = block(BIASES)
    assert layer.fused is not None
    before = run(layer, [(5, 1)], fused=True)[0]
    with torch.no_grad():
        layer.get_submodule(bias).bias.mul_(1.5)  # type: ignore[operator, union-attr]
    assert not torch.equal(run(layer, [(5, 1)], fused=True)[0], before)


def test_the_first_positions_are_rounded_finely(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = block(PLAIN)
    usual = run(layer, [(70,)], fused=True)[0]
    in_steps = run(layer, [(1,) * 70], fused=True)[0]
    monkeypatch.setattr("limpide.layers.step.FINE_POSITIONS", 10**6)
    fine = run(layer, [(70,)], fused=True)[0]
    fine_in_steps = run(layer, [(1,) * 70], fused=True)[0]
    for some, finely in ((usual, fine), (in_steps, fine_in_steps)):
        assert torch.equal(some[:FINE_POSITIONS], finely[:FINE_POSITIONS])
        assert not torch.equal(some[FINE_POSITIONS:], finely[FINE_POSITIONS:])


@pytest.mark.parametrize("spec", [GEMMA, BIASES], ids=["gemma", "biases"])
def test_a_sequence_does_not_depend_on_its_neighbours(spec: BlockSpec) -> None:
    layer = block(spec)
    alone = run(layer, [(90, 1, 1, 1)], fused=True)[0]
    together = run(layer, [(90, 1, 1, 1), (65, 1, 1, 1), (8, 1, 1, 1)], fused=True)[0]
    assert torch.equal(alone, together)


@pytest.mark.parametrize(
    "change",
    [
        {"attention": replace(PLAIN.attention, softcap=30.0)},
        {"attention": replace(QWEN2.attention, softcap=30.0)},
        {"attention": replace(PLAIN.attention, mask=MaskSpec("chunk", 16))},
        {"attention": replace(PLAIN.attention, rope=RopeSpec(1e4, DIM, "interleaved"))},
        {"attention": replace(PLAIN.attention, rope=RopeSpec(1e4, DIM // 2))},
        {"feed_forward": MLPSpec(WIDTH, "relu")},
        {"residual_scale": 0.5},
    ],
)
def test_what_the_kernels_cannot_do_keeps_the_plain_path(change: dict[str, object]) -> None:
    spec = replace(PLAIN, **change)  # type: ignore[arg-type]
    assert torch.equal(run(block(spec), [(5, 1)], fused=True)[0], run(block(spec), [(5, 1)], fused=False)[0])


def test_recorded_steps_are_made_again_as_cache_and_mode_change() -> None:
    """Plays of a recording against a stack that computes each step anew; the block table grows past its first room."""
    layer = block(PLAIN)
    stack = FusedStack.of([layer])
    rope = layer.spec.attention.rope
    assert stack is not None
    assert rope is not None
    cache, lasting = PagedCache([(2, DIM, DIM)], 300, block_size=4, dtype=torch.float16), LastingBuffers()
    other = PagedCache([(2, DIM, DIM)], 300, block_size=4, dtype=torch.float16)
    generator = torch.Generator().manual_seed(5)
    for sequence in range(2):  # the second one's blocks are others
        lease, twin = cache.open(), other.open()
        for position in range(520):
            assert cache.reserve(lease, position + 1)
            assert other.reserve(twin, position + 1)
            mode = torch.inference_mode if position % 2 else torch.no_grad
            x = torch.randn(1, HIDDEN, generator=generator)
            with mode():
                results = []
                for pages, held, buffers in ((cache, lease, lasting.at(1)), (other, twin, Buffers())):
                    view = pages.view([(held, position, 1)])
                    rotation = RopeTable(rope).rotation(torch.tensor([position]), view.query_starts, view.kv_lengths)
                    results.append(stack(x.clone(), Step(view, {rope: rotation}, None, buffers)).clone())
            assert torch.equal(*results), (sequence, position)
    assert lasting.at(1).num_recordings == 3, "one recording for each size of block table"


def test_a_recording_is_not_made_again_on_another_cache() -> None:
    """Also if the other one's first layer lies where that of a cache lay that is gone."""
    layers = [block(PLAIN), block(PLAIN)]
    assert layers[1].fused is not None
    layers[1].fused.layer = 1
    stack = FusedStack.of(layers)
    rope = PLAIN.attention.rope
    assert stack is not None
    assert rope is not None
    lasting, shapes, x = LastingBuffers(), [(2, DIM, DIM)] * 2, torch.randn(1, HIDDEN)
    first, second = (PagedCache(shapes, 4, dtype=torch.float16) for _ in range(2))
    second._pools[0] = first._pools[0]
    for cache in (first, second):
        lease = cache.open()
        assert cache.reserve(lease, 1)
        cache.pool(1)[0].zero_()
        view = cache.view([(lease, 0, 1)])
        rotation = RopeTable(rope).rotation(torch.tensor([0]), view.query_starts, view.kv_lengths)
        stack(x.clone(), Step(view, {rope: rotation}, None, lasting.at(1)))
        assert cache.pool(1)[0].any()


def test_recordings_are_bounded() -> None:
    lasting = LastingBuffers()
    for number in range(3 * MOST_RECORDINGS):
        lasting.at(1).again(number, lambda: None)
        assert lasting.at(1).num_recordings < MOST_RECORDINGS


@pytest.mark.parametrize("spec", [PLAIN, GEMMA], ids=["llama", "gemma"])
@pytest.mark.parametrize("rows", [[], [9], [0, 59, 60, 69]])
def test_the_last_block_answers_for_the_rows_that_are_wanted(spec: BlockSpec, rows: list[int]) -> None:
    stack = FusedStack.of([block(spec)])
    rope = spec.attention.rope
    assert stack is not None
    assert rope is not None
    cache = PagedCache([(2, DIM, DIM)], 64, dtype=torch.float16)
    leases = [cache.open(), cache.open()]
    assert all(cache.reserve(lease, 60) for lease in leases)
    view = cache.view([(leases[0], 0, 60), (leases[1], 0, 10)])
    x = torch.randn(70, HIDDEN, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        positions = torch.cat((torch.arange(60), torch.arange(10)))
        rotation = RopeTable(rope).rotation(positions, view.query_starts, view.kv_lengths)
        lasting = LastingBuffers()
        results, pages = [], []
        for wanted in (None, torch.tensor(rows, dtype=torch.int64)):
            for pool in view.pages.pool(0):
                pool.zero_()
            results.append(stack(x.clone(), Step(view, {rope: rotation}, None, lasting.at(70)), wanted).clone())
            pages.append([pool.clone() for pool in view.pages.pool(0)])
    assert results[1].shape == (len(rows), HIDDEN)
    torch.testing.assert_close(results[1], results[0][rows], rtol=0, atol=5e-3 * float(results[0].std()))
    assert all(torch.equal(a, b) for a, b in zip(*pages, strict=True)), "keys and values are everybody's"
