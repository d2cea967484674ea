"""What is written through a view is what is read, wherever the blocks lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from limpide.cache import Lease, PagedCache, PlainKV, block_bytes
from limpide.core.errors import OutOfMemory

LAYERS = [(2, 4, 4), (1, 8, 0)]


def write(cache: PagedCache, items: list[tuple[Lease, int, int]], seed: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Random keys and values for one step. Returns [layer][item] → what was written."""
    view = cache.view(items)
    generator = torch.Generator().manual_seed(seed)
    written = []
    for layer, (heads, key, value) in enumerate(LAYERS):
        total = view.query_starts[-1]
        k = torch.randn(total, heads, key, generator=generator)
        v = torch.randn(total, heads, value, generator=generator)
        view.write(layer, k, v)
        written.append([(k[a:b], v[a:b]) for a, b in zip(view.query_starts[:-1], view.query_starts[1:], strict=True)])
    return written


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("chunks", [[40], [16, 16, 8], [1] * 20, [5, 1, 30, 1, 1]])
def test_chunks_read_back_whole(chunks: list[int], alone: bool, scattered: bool) -> None:
    cache = PagedCache(LAYERS, 32, 16)
    length = sum(chunks)
    lease, neighbour = cache.open(), cache.open()
    for end in range(1, length + 1):
        if scattered:
            cache.reserve(neighbour, end)
        cache.reserve(lease, end)
    cache.reserve(neighbour, length)
    assert lease.contiguous != (scattered and length > 16)
    expected: list[list[tuple[Tensor, Tensor]]] = [[] for _ in LAYERS]
    start = 0
    for seed, count in enumerate(chunks):
        items = [(lease, start, count)] if alone else [(neighbour, start, 1), (lease, start, count)]
        for layer, parts in enumerate(write(cache, items, seed)):
            expected[layer].append(parts[-1])
        start += count
        view = cache.view([(lease, start - count, count)])
        assert view.kv_lengths == [start]
        for layer, parts in enumerate(expected):
            k, v = view.read(layer, 0)
            assert torch.equal(k, torch.cat([p[0] for p in parts]))
            assert torch.equal(v, torch.cat([p[1] for p in parts]))


def test_pages_say_where_each_token_is() -> None:
    cache = PagedCache(LAYERS, 32, 16)
    a, b = cache.open(), cache.open()
    for end in (16, 40):
        assert cache.reserve(a, end)
        assert cache.reserve(b, end)
    for items in ([(a, 3, 30)], [(a, 3, 30), (b, 0, 1), (a, 33, 2)], [(b, 17, 1)]):
        view = cache.view(items)
        written = write(cache, items, 7)
        pages = view.pages
        assert pages.slots.dtype == torch.int64
        assert pages.block_tables.dtype == torch.int32
        for layer in range(len(LAYERS)):
            k, _ = pages.pool(layer)
            stored = k.flatten(0, 1)[pages.slots]
            assert torch.equal(stored, torch.cat([part[0] for part in written[layer]]))
        at = 0
        for sequence, (_, start, count) in enumerate(items):
            positions = torch.arange(start, start + count)
            blocks = pages.block_tables[sequence][positions // 16].long()
            assert torch.equal(blocks * 16 + positions % 16, pages.slots[at : at + count])
            at += count


def test_half_precision_pools_are_read_as_float32() -> None:
    cache = PagedCache(LAYERS, 8, 16, torch.float16)
    lease = cache.open()
    cache.reserve(lease, 20)
    [(k, _)], _ = write(cache, [(lease, 0, 20)], 0)
    stored, _ = cache.view([(lease, 0, 20)]).read(0, 0)
    assert stored.dtype == torch.float32
    assert torch.equal(stored, k.half().float())
    assert block_bytes(LAYERS, torch.float16) == 16 * (2 * 8 + 8) * 2


def test_a_large_pool_costs_nothing_until_it_is_used() -> None:
    import psutil

    before = psutil.Process().memory_info().rss
    cache = PagedCache([(8, 128, 128)] * 4, 4096)  # 2 GB
    assert psutil.Process().memory_info().rss - before < 100e6
    assert cache.num_available == 4096


def test_a_pool_that_the_system_refuses_is_a_clear_error() -> None:
    with pytest.raises(OutOfMemory, match="MB"):
        PagedCache([(1 << 10, 1 << 30, 1 << 30)], 1 << 10)


def test_plain_pass_keeps_gradients() -> None:
    kv = PlainKV([3, 2])
    k = torch.randn(5, 1, 2, requires_grad=True)
    kv.write(0, k, k * 2)
    assert kv.query_starts == [0, 3, 5]
    read_k, read_v = kv.read(0, 1)
    assert torch.equal(read_k, k[3:])
    read_v.sum().backward()
    assert k.grad is not None
    assert k.grad[:3].abs().sum() == 0
    assert (k.grad[3:] == 2).all()


def test_used_bytes_are_those_of_blocks_that_hold_something() -> None:
    cache = PagedCache([(2, 8, 8)] * 3, 10, max_sequences=1)
    assert cache.used_bytes == 0
    lease = cache.open()
    assert cache.reserve(lease, 17)  # two blocks of 16
    assert cache.used_bytes == 2 * block_bytes([(2, 8, 8)] * 3, torch.float32)
    cache.commit(lease, list(range(17)), 17)
    cache.close(lease)  # the full block is kept for who begins with the same tokens
    assert cache.used_bytes == block_bytes([(2, 8, 8)] * 3, torch.float32)
