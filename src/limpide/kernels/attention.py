"""Attention on the paged cache, where it lies.

`place` turns the step's queries and keys and writes keys and values into their pages. `attend_few` answers
sequences with few queries, a query head at a time. `attend_many` answers prompts: a tile of queries against
tiles of keys with a running softmax (Flash Attention, arXiv:2205.14135), eight keys to a vector. Pages hold float16.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.functions import argument, exp, inline, mean_square_scale
from limpide.kernels.tiles import KEY_TILE, QUERY_TILE

_NEVER = np.float32(-1e30)
_AT_ONCE = 4
STRIP = 2 * simd.WIDE
"""Columns of a product that are summed in registers, for four rows at once."""


@inline
def _turn(source, target, table, head_dim, weight, epsilon, halve):  # type: ignore[no-untyped-def]
    """One head: norm if there is a weight, rotate by half, store as float16 (`halve`) or float32.

    `table` has the cosines of all dimensions and behind them the sines.
    """
    factor = np.float32(1)
    if weight != 0:
        factor = mean_square_scale(source, head_dim, epsilon)
    scale = simd.splat(factor)
    half = head_dim // 2
    for c in range(0, half, 8):
        first, second = simd.load_f32x8(source + 4 * c), simd.load_f32x8(source + 4 * (c + half))
        if weight != 0:
            first = simd.mul(simd.mul(first, scale), simd.load_f32x8(weight + 4 * c))
            second = simd.mul(simd.mul(second, scale), simd.load_f32x8(weight + 4 * (c + half)))
        cos, sin = simd.load_f32x8(table + 4 * c), simd.load_f32x8(table + 4 * (head_dim + c))
        low = simd.sub(simd.mul(first, cos), simd.mul(second, sin))
        high = simd.fma(first, sin, simd.mul(second, cos))
        if halve:
            simd.store_f16x8(target + 2 * c, low)
            simd.store_f16x8(target + 2 * (c + half), high)
        else:
            simd.store_f32x8(target + 4 * c, low)
            simd.store_f32x8(target + 4 * (c + half), high)


def place() -> Callable[[int], None]:
    """Turn queries in place, turn keys into their pages, copy values into theirs.

    Arguments: ticket, tokens, heads, kv_heads, head_dim, q, bytes between tokens of q, k, same of k, v, same of v,
    table ([tokens, 2, head_dim]), slots ([tokens] int64), key pool, value pool, query norm, key norm (0: none),
    epsilon bits.
    """

    def kernel(arguments):  # type: ignore[no-untyped-def]
        tokens, heads, kv_heads = argument(arguments, 1), argument(arguments, 2), argument(arguments, 3)
        head_dim = argument(arguments, 4)
        q, q_stride, k, k_stride = (
            argument(arguments, 5),
            argument(arguments, 6),
            argument(arguments, 7),
            argument(arguments, 8),
        )
        v, v_stride, tables, slots = (
            argument(arguments, 9),
            argument(arguments, 10),
            argument(arguments, 11),
            argument(arguments, 12),
        )
        key_pool, value_pool = argument(arguments, 13), argument(arguments, 14)
        q_norm, k_norm, epsilon = argument(arguments, 15), argument(arguments, 16), simd.load_f32(arguments + 136)
        while True:
            first = simd.fetch_add(arguments, _AT_ONCE)
            if first >= tokens:
                return
            for t in range(first, simd.smaller(first + _AT_ONCE, tokens)):
                table = tables + t * 8 * head_dim
                for h in range(heads):
                    at = q + t * q_stride + 4 * h * head_dim
                    _turn(at, at, table, head_dim, q_norm, epsilon, False)
                page = simd.load_i64(slots + 8 * t) * kv_heads * head_dim * 2
                for h in range(kv_heads):
                    to = page + 2 * h * head_dim
                    _turn(k + t * k_stride + 4 * h * head_dim, key_pool + to, table, head_dim, k_norm, epsilon, True)
                    values = v + t * v_stride + 4 * h * head_dim
                    for c in range(0, head_dim, 8):
                        simd.store_f16x8(value_pool + to + 2 * c, simd.load_f32x8(values + 4 * c))

    return kernel


@inline
def _page(table, position, block_size, row_bytes):  # type: ignore[no-untyped-def]
    """Offset of a position's keys or values in the pools."""
    block = simd.load_i32(table + 4 * (position // block_size))
    return (np.int64(block) * block_size + position % block_size) * row_bytes


def attend_few() -> Callable[[int], None]:
    """Arguments: ticket, thread, tasks ([queries, 4] int64: sequence, token, first key, end of keys), queries, heads,
    kv_heads, head_dim, q, bytes between tokens of q, out ([T, heads, head_dim]), key pool, value pool, block tables,
    blocks per table, block size, scale bits, scratch, bytes of scratch per thread (room for the most keys, float32).
    """

    def kernel(arguments):  # type: ignore[no-untyped-def]
        thread = simd.fetch_add(arguments + 8, 1)
        tasks, queries, heads = argument(arguments, 2), argument(arguments, 3), argument(arguments, 4)
        kv_heads, head_dim = argument(arguments, 5), argument(arguments, 6)
        q, q_stride, out = argument(arguments, 7), argument(arguments, 8), argument(arguments, 9)
        key_pool, value_pool = argument(arguments, 10), argument(arguments, 11)
        tables, width, block_size = argument(arguments, 12), argument(arguments, 13), argument(arguments, 14)
        scale = simd.load_f32(arguments + 120)
        scores = argument(arguments, 16) + thread * argument(arguments, 17)
        row_bytes = kv_heads * head_dim * 2
        while True:
            task = simd.fetch_add(arguments, 1)
            if task >= queries * heads:
                return
            row, head = tasks + task // heads * 32, task % heads
            sequence, token = simd.load_i64(row), simd.load_i64(row + 8)
            begin, end = simd.load_i64(row + 16), simd.load_i64(row + 24)
            table = tables + 4 * sequence * width
            offset = head * kv_heads // heads * head_dim * 2
            query = q + token * q_stride + 4 * head * head_dim
            largest = _NEVER
            p = begin
            while p < end:  # block by block: finding a page takes a division
                page = _page(table, p, block_size, row_bytes) + offset
                stop = simd.smaller(end, (p // block_size + 1) * block_size)
                # the next keys, and the values that go with these ones, are on their way meanwhile
                key, value, next_key = key_pool + page, value_pool + page, key_pool
                next_key += _page(table, simd.smaller(stop, end - 1), block_size, row_bytes) + offset
                for i in range(p - begin, stop - begin):
                    for line in range(0, 2 * head_dim, 64):
                        simd.prefetch(next_key + line)
                        simd.prefetch(value + line)
                    value += row_bytes
                    next_key += row_bytes
                    a = simd.splat(np.float32(0))
                    b = a
                    for c in range(0, head_dim, 16):
                        a = simd.fma(simd.load_f16x8(key + 2 * c), simd.load_f32x8(query + 4 * c), a)
                        b = simd.fma(simd.load_f16x8(key + 2 * c + 16), simd.load_f32x8(query + 4 * c + 32), b)
                    score = simd.lane_sum(simd.add(a, b)) * scale
                    simd.store_f32(scores + 4 * i, score)
                    largest = score if score > largest else largest
                    key += row_bytes
                p = stop
            count = end - begin
            padded = (count + 7) // 8 * 8
            for i in range(count, padded):
                simd.store_f32(scores + 4 * i, _NEVER)
            total = simd.splat(np.float32(0))
            for i in range(0, padded, 8):
                e = exp(simd.sub(simd.load_f32x8(scores + 4 * i), simd.splat(largest)))
                simd.store_f32x8(scores + 4 * i, e)
                total = simd.add(total, e)
            inverse = simd.splat(np.float32(1) / simd.lane_sum(total))
            to = out + (token * heads + head) * head_dim * 4
            for c in range(0, head_dim, 32):
                a = simd.splat(np.float32(0))
                b = a
                d = a
                e = a
                p = begin
                while p < end:
                    value = value_pool + _page(table, p, block_size, row_bytes) + offset + 2 * c
                    stop = simd.smaller(end, (p // block_size + 1) * block_size)
                    for i in range(p - begin, stop - begin):
                        weight = simd.splat(simd.load_f32(scores + 4 * i))
                        a = simd.fma(simd.load_f16x8(value), weight, a)
                        b = simd.fma(simd.load_f16x8(value + 16), weight, b)
                        d = simd.fma(simd.load_f16x8(value + 32), weight, d)
                        e = simd.fma(simd.load_f16x8(value + 48), weight, e)
                        value += row_bytes
                    p = stop
                simd.store_f32x8(to + 4 * c, simd.mul(a, inverse))
                simd.store_f32x8(to + 4 * c + 32, simd.mul(b, inverse))
                simd.store_f32x8(to + 4 * c + 64, simd.mul(d, inverse))
                simd.store_f32x8(to + 4 * c + 96, simd.mul(e, inverse))

    return kernel


@inline
def _product(a, a_stride, b, b_stride, depth, out, out_stride, accumulate):  # type: ignore[no-untyped-def]
    """out[4, STRIP] (+)= a[4, depth] b[depth, STRIP], all float32; strides in bytes."""
    half = 2 * STRIP
    if accumulate:
        c00, c01 = simd.load_wide(out), simd.load_wide(out + half)
        c10, c11 = simd.load_wide(out + out_stride), simd.load_wide(out + out_stride + half)
        c20, c21 = simd.load_wide(out + 2 * out_stride), simd.load_wide(out + 2 * out_stride + half)
        c30, c31 = simd.load_wide(out + 3 * out_stride), simd.load_wide(out + 3 * out_stride + half)
    else:
        zero = simd.splat_wide(np.float32(0))
        c00 = c01 = c10 = c11 = c20 = c21 = c30 = c31 = zero
    for i in range(depth):
        low, high = simd.load_wide(b + i * b_stride), simd.load_wide(b + i * b_stride + half)
        x = simd.splat_wide(simd.load_f32(a + 4 * i))
        c00, c01 = simd.fma_wide(x, low, c00), simd.fma_wide(x, high, c01)
        x = simd.splat_wide(simd.load_f32(a + a_stride + 4 * i))
        c10, c11 = simd.fma_wide(x, low, c10), simd.fma_wide(x, high, c11)
        x = simd.splat_wide(simd.load_f32(a + 2 * a_stride + 4 * i))
        c20, c21 = simd.fma_wide(x, low, c20), simd.fma_wide(x, high, c21)
        x = simd.splat_wide(simd.load_f32(a + 3 * a_stride + 4 * i))
        c30, c31 = simd.fma_wide(x, low, c30), simd.fma_wide(x, high, c31)
    simd.store_wide(out, c00)
    simd.store_wide(out + half, c01)
    simd.store_wide(out + out_stride, c10)
    simd.store_wide(out + out_stride + half, c11)
    simd.store_wide(out + 2 * out_stride, c20)
    simd.store_wide(out + 2 * out_stride + half, c21)
    simd.store_wide(out + 3 * out_stride, c30)
    simd.store_wide(out + 3 * out_stride + half, c31)


@inline
def _load_keys(source, table, first, end, block_size, row_bytes, head_dim, target):  # type: ignore[no-untyped-def]
    """Up to KEY_TILE keys as float32 [head_dim, KEY_TILE]: eight keys to a vector. Missing ones become zero."""
    for p in range(0, KEY_TILE, 8):
        to = target + 4 * p
        if first + p + 8 <= end:
            k0 = source + _page(table, first + p, block_size, row_bytes)
            k1 = source + _page(table, first + p + 1, block_size, row_bytes)
            k2 = source + _page(table, first + p + 2, block_size, row_bytes)
            k3 = source + _page(table, first + p + 3, block_size, row_bytes)
            k4 = source + _page(table, first + p + 4, block_size, row_bytes)
            k5 = source + _page(table, first + p + 5, block_size, row_bytes)
            k6 = source + _page(table, first + p + 6, block_size, row_bytes)
            k7 = source + _page(table, first + p + 7, block_size, row_bytes)
            for c in range(0, head_dim, 8):
                simd.store_columns(
                    to + 4 * KEY_TILE * c,
                    4 * KEY_TILE,
                    simd.load_f16x8(k0 + 2 * c),
                    simd.load_f16x8(k1 + 2 * c),
                    simd.load_f16x8(k2 + 2 * c),
                    simd.load_f16x8(k3 + 2 * c),
                    simd.load_f16x8(k4 + 2 * c),
                    simd.load_f16x8(k5 + 2 * c),
                    simd.load_f16x8(k6 + 2 * c),
                    simd.load_f16x8(k7 + 2 * c),
                )
        else:
            for i in range(8):
                if first + p + i < end:
                    key = source + _page(table, first + p + i, block_size, row_bytes)
                    for c in range(head_dim):
                        simd.store_f32(to + 4 * (c * KEY_TILE + i), simd.load_f16(key + 2 * c))
                else:
                    for c in range(head_dim):
                        simd.store_f32(to + 4 * (c * KEY_TILE + i), np.float32(0))


@inline
def _load_values(source, table, first, end, block_size, row_bytes, head_dim, target):  # type: ignore[no-untyped-def]
    """Up to KEY_TILE values as float32 [KEY_TILE, head_dim]. Missing ones become zero."""
    for p in range(KEY_TILE):
        to = target + 4 * p * head_dim
        if first + p < end:
            value = source + _page(table, first + p, block_size, row_bytes)
            for c in range(0, head_dim, 8):
                simd.store_f32x8(to + 4 * c, simd.load_f16x8(value + 2 * c))
        else:
            for c in range(0, head_dim, 8):
                simd.store_f32x8(to + 4 * c, simd.splat(np.float32(0)))


@inline
def _soften(scores, begin, end, scale, state, sums, head_dim):  # type: ignore[no-untyped-def]
    """Scores of one query [KEY_TILE] to weights, of which those outside [begin, end) are zero; keeps the running
    softmax.

    `state` has the largest score and the sum of weights so far; `sums` the weighted values, rescaled when the largest
    score grows.
    """
    largest = simd.splat(_NEVER)
    for i in range(0, KEY_TILE, 8):
        v = simd.mul(simd.load_f32x8(scores + 4 * i), simd.splat(scale))
        if i < begin or i + 8 > end:
            v = simd.keep_lanes(v, begin - i, end - i, _NEVER)
        simd.store_f32x8(scores + 4 * i, v)
        largest = simd.maximum(largest, v)
    before = simd.load_f32(state)
    top = simd.lane_max(largest)
    if top > before:
        shrink = exp(simd.splat(before - top))
        for c in range(0, head_dim, 8):
            simd.store_f32x8(sums + 4 * c, simd.mul(simd.load_f32x8(sums + 4 * c), shrink))
        simd.store_f32(state + 4, simd.load_f32(state + 4) * simd.lane_max(shrink))
        simd.store_f32(state, top)
    else:
        top = before
    total = simd.splat(np.float32(0))
    for i in range(0, KEY_TILE, 8):
        if i >= end or i + 8 <= begin:
            e = simd.splat(np.float32(0))
        else:
            e = exp(simd.sub(simd.load_f32x8(scores + 4 * i), simd.splat(top)))
            if i < begin or i + 8 > end:
                e = simd.keep_lanes(e, begin - i, end - i, np.float32(0))
        simd.store_f32x8(scores + 4 * i, e)
        total = simd.add(total, e)
    simd.store_f32(state + 4, simd.load_f32(state + 4) + simd.lane_sum(total))


def attend_many() -> Callable[[int], None]:
    """Arguments: as `attend_few`, but tasks are tiles of up to QUERY_TILE queries, [tasks, 4] int64: sequence, first
    token, number of tokens, position of the first; and between scale and scratch the window (0: none). See
    `tiles` for scratch.
    """

    def kernel(arguments):  # type: ignore[no-untyped-def]
        thread = simd.fetch_add(arguments + 8, 1)
        tasks, num_tasks, heads = argument(arguments, 2), argument(arguments, 3), argument(arguments, 4)
        kv_heads, head_dim = argument(arguments, 5), argument(arguments, 6)
        q, q_stride, out = argument(arguments, 7), argument(arguments, 8), argument(arguments, 9)
        key_pool, value_pool = argument(arguments, 10), argument(arguments, 11)
        tables, width, block_size = argument(arguments, 12), argument(arguments, 13), argument(arguments, 14)
        scale, window = simd.load_f32(arguments + 120), argument(arguments, 16)
        keys = argument(arguments, 17) + thread * argument(arguments, 18)
        group = heads // kv_heads
        row_bytes = kv_heads * head_dim * 2
        head_bytes = 4 * head_dim
        values = keys + KEY_TILE * head_bytes
        scores = values + KEY_TILE * head_bytes
        queries = scores + 4 * KEY_TILE * 4
        sums = queries + group * QUERY_TILE * head_bytes
        states = sums + group * QUERY_TILE * head_bytes
        while True:
            ticket = simd.fetch_add(arguments, 1)
            if ticket >= num_tasks * kv_heads:
                return
            task = tasks + 32 * (num_tasks - 1 - ticket // kv_heads)  # late queries see most keys: they go first
            kv_head = ticket % kv_heads
            sequence, first = simd.load_i64(task), simd.load_i64(task + 8)
            count, position = simd.load_i64(task + 16), simd.load_i64(task + 24)
            table = tables + 4 * sequence * width
            rows = (count + 3) // 4 * 4
            for g in range(group):
                for r in range(rows):
                    row = g * QUERY_TILE + r
                    source = q + (first + simd.smaller(r, count - 1)) * q_stride + (kv_head * group + g) * head_bytes
                    for c in range(0, head_bytes, 32):
                        simd.store_f32x8(queries + row * head_bytes + c, simd.load_f32x8(source + c))
                        simd.store_f32x8(sums + row * head_bytes + c, simd.splat(np.float32(0)))
                    simd.store_f32(states + 8 * row, _NEVER)
                    simd.store_f32(states + 8 * row + 4, np.float32(0))
            end = position + count
            begin = np.int64(0)
            if window > 0:
                begin = simd.larger(0, position - window + 1) // KEY_TILE * KEY_TILE
            offset = kv_head * head_dim * 2
            for tile in range(begin, end, KEY_TILE):
                _load_keys(key_pool + offset, table, tile, end, block_size, row_bytes, head_dim, keys)
                _load_values(value_pool + offset, table, tile, end, block_size, row_bytes, head_dim, values)
                for g in range(group):
                    for r in range(0, rows, 4):
                        if position + r + 3 < tile:
                            continue  # none of the four sees a key of this tile
                        row = g * QUERY_TILE + r
                        of = queries + row * head_bytes
                        seen = simd.smaller(KEY_TILE, position + simd.smaller(r + 3, count - 1) + 1 - tile)
                        for n in range(0, seen, STRIP):
                            _product(
                                of,
                                head_bytes,
                                keys + 4 * n,
                                4 * KEY_TILE,
                                head_dim,
                                scores + 4 * n,
                                4 * KEY_TILE,
                                False,
                            )
                        for i in range(4):
                            here = position + simd.smaller(r + i, count - 1)
                            low = np.int64(0)
                            if window > 0:
                                low = simd.larger(0, here - window + 1 - tile)
                            high = simd.smaller(KEY_TILE, here + 1 - tile)
                            _soften(
                                scores + 4 * KEY_TILE * i,
                                low,
                                high,
                                scale,
                                states + 8 * (row + i),
                                sums + (row + i) * head_bytes,
                                head_dim,
                            )
                        for n in range(0, head_dim, STRIP):
                            _product(
                                scores,
                                4 * KEY_TILE,
                                values + 4 * n,
                                head_bytes,
                                seen,
                                sums + row * head_bytes + 4 * n,
                                head_bytes,
                                True,
                            )
            for g in range(group):
                for r in range(count):
                    row = g * QUERY_TILE + r
                    inverse = simd.splat(np.float32(1) / simd.load_f32(states + 8 * row + 4))
                    to = out + ((first + r) * heads + kv_head * group + g) * head_bytes
                    for c in range(0, head_bytes, 32):
                        simd.store_f32x8(to + c, simd.mul(simd.load_f32x8(sums + row * head_bytes + c), inverse))

    return kernel
