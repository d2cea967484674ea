"""Kernels that run kernels: the waiting and working of the pool's threads.

A pool is int64 numbers in memory, at the positions in `fields`. STATE packs what must change together: a generation
that grows with each job, whether the job still takes helpers, and how many helpers are inside. Whoever starts a job
works on it at once and, when no work is left, closes it; helpers that the system has not scheduled by then are not
waited for. That is why a busy machine slows a kernel down in proportion and no further.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limpide.kernels import simd
from limpide.kernels.fields import (
    ARGUMENTS,
    BROADCAST,
    CONDITION,
    FUNCTION,
    LOCK,
    MUTEX,
    NUM_CALL_FIELDS,
    SLEEPERS,
    STATE,
    UNLOCK,
    WAIT,
    YIELD,
)
from limpide.kernels.functions import argument, inline

_OPEN = np.int64(1 << 16)
_GENERATION = np.int64(1 << 17)
_HELPERS = np.int64((1 << 16) - 1)
_SPINS = 3000
"""How often a helper looks for work before it sleeps: some tens of microseconds, longer than a layer's Python takes."""
_PATIENCE = 2000


@inline
def _field(pool, index):  # type: ignore[no-untyped-def]
    return pool + 8 * index


@inline
def _has_news(state, seen):  # type: ignore[no-untyped-def]
    return (state & _OPEN) != 0 and state // _GENERATION != seen


def helper() -> Callable[[int], None]:
    """A helper's life: wait for a job, help with it, wait again. Never returns. Argument: the pool."""

    def kernel(pool):  # type: ignore[no-untyped-def]
        state_at = _field(pool, STATE)
        seen = np.int64(0)
        spins = 0
        while True:
            state = simd.atomic_load(state_at)
            if _has_news(state, seen):
                spins = 0
                if simd.exchange_if(state_at, state, state + 1):
                    seen = state // _GENERATION
                    simd.call_one(argument(pool, FUNCTION), argument(pool, ARGUMENTS))
                    simd.fetch_add(state_at, -1)
            elif spins < _SPINS:
                spins += 1
                simd.pause(0)
            else:
                spins = 0
                simd.call_one(argument(pool, LOCK), argument(pool, MUTEX))
                simd.fetch_add(_field(pool, SLEEPERS), 1)
                while not _has_news(simd.atomic_load(state_at), seen):
                    simd.call_two(argument(pool, WAIT), argument(pool, CONDITION), argument(pool, MUTEX))
                simd.fetch_add(_field(pool, SLEEPERS), -1)
                simd.call_one(argument(pool, UNLOCK), argument(pool, MUTEX))

    return kernel


@inline
def _share(pool):  # type: ignore[no-untyped-def]
    """Do the job that FUNCTION and ARGUMENTS name, with whatever helpers come in time."""
    state_at = _field(pool, STATE)
    simd.atomic_store(state_at, (simd.atomic_load(state_at) // _GENERATION + 1) * _GENERATION + _OPEN)
    if simd.atomic_load(_field(pool, SLEEPERS)) > 0:
        simd.call_one(argument(pool, LOCK), argument(pool, MUTEX))
        simd.call_one(argument(pool, BROADCAST), argument(pool, CONDITION))
        simd.call_one(argument(pool, UNLOCK), argument(pool, MUTEX))
    simd.call_one(argument(pool, FUNCTION), argument(pool, ARGUMENTS))
    simd.fetch_and(state_at, ~_OPEN)
    spins = 0
    while (simd.atomic_load(state_at) & _HELPERS) != 0:
        spins += 1
        if spins < _PATIENCE:
            simd.pause(0)
        else:  # a helper was interrupted in the middle of its work: let it have this processor
            simd.call_one(argument(pool, YIELD), 0)


def play() -> Callable[[int], None]:
    """Run kernels one after the other. Argument: address of the pool (0: do without helpers), number of calls,
    address of the calls.

    A call is its kernel, its arguments, 1 if helpers may share it, how many counters its arguments begin with.
    """

    def kernel(arguments):  # type: ignore[no-untyped-def]
        pool, count, calls = argument(arguments, 0), argument(arguments, 1), argument(arguments, 2)
        for i in range(count):
            entry = calls + 8 * NUM_CALL_FIELDS * i
            function, its_arguments = argument(entry, 0), argument(entry, 1)
            for counter in range(argument(entry, 3)):
                simd.atomic_store(its_arguments + 8 * counter, 0)
            if pool != 0 and argument(entry, 2) != 0:
                simd.atomic_store(_field(pool, FUNCTION), function)
                simd.atomic_store(_field(pool, ARGUMENTS), its_arguments)
                _share(pool)
            else:
                simd.call_one(function, its_arguments)

    return kernel
