"""Kernels on several threads: one pool for the process, whose helpers sleep when there is nothing to do.

A kernel is a C function `void(int64 *arguments)` that any number of threads may run at once; they share the work by
taking tickets from a counter in the arguments. `crew` has the protocol.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from functools import lru_cache

import torch

from limpide.kernels import library
from limpide.kernels.fields import (
    BROADCAST,
    CONDITION,
    LOCK,
    MUTEX,
    NUM_CALL_FIELDS,
    NUM_FIELDS,
    UNLOCK,
    WAIT,
    YIELD,
)

MAX_THREADS = 64

_MUTEX_BYTES = 128  # more than any platform's pthread_mutex_t or pthread_cond_t


class Program:
    """Kernels that run one after the other without Python in between.

    calls: per kernel its address, the address of its arguments, 1 if threads may share it, and the number of counters
    that its arguments begin with. Whatever these are addresses of has to outlive the program.
    """

    __slots__ = ("_calls", "_header", "address", "shared")

    def __init__(self, calls: Sequence[tuple[int, int, int, int]]) -> None:
        self._calls = (ctypes.c_int64 * (NUM_CALL_FIELDS * len(calls)))(*(field for call in calls for field in call))
        self._header = (ctypes.c_int64 * 3)(0, len(calls), ctypes.addressof(self._calls))
        self.address = ctypes.addressof(self._header)
        self.shared = any(call[2] for call in calls)
        """Whether more than one thread would have something to do."""

    def set_pool(self, address: int) -> None:
        """Whose helpers may share the work; 0 is nobody's."""
        self._header[0] = address


class Pool:
    """Helpers for whoever has kernels to run. One program at a time: a second caller does its work alone."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._helpers = 0
        self._fields = (ctypes.c_int64 * NUM_FIELDS)()
        self._memory = ctypes.create_string_buffer(2 * _MUTEX_BYTES)
        mutex = ctypes.addressof(self._memory)
        c = ctypes.CDLL(None)
        c.pthread_mutex_init(ctypes.c_void_p(mutex), None)
        c.pthread_cond_init(ctypes.c_void_p(mutex + _MUTEX_BYTES), None)
        self._fields[MUTEX], self._fields[CONDITION] = mutex, mutex + _MUTEX_BYTES
        for field, name in (
            (LOCK, "pthread_mutex_lock"),
            (UNLOCK, "pthread_mutex_unlock"),
            (WAIT, "pthread_cond_wait"),
            (BROADCAST, "pthread_cond_broadcast"),
            (YIELD, "sched_yield"),
        ):
            address = ctypes.cast(getattr(c, name), ctypes.c_void_p).value
            self._fields[field] = address or 0
        self._address = ctypes.addressof(self._fields)

    def run(self, program: Program, threads: int) -> None:
        """Run a program on up to `threads` threads, this one among them, and wait."""
        if not self._busy.acquire(blocking=False):
            _alone(program)
            return
        try:
            if self._helpers < threads - 1:
                self._hire(threads - 1 - self._helpers)
            program.set_pool(self._address)
            library.kernel("crew.play")(program.address)
        finally:
            self._busy.release()

    def _hire(self, count: int) -> None:
        live = library.kernel("crew.helper")
        for _ in range(count):
            threading.Thread(target=live, args=(self._address,), name="limpide-kernel", daemon=True).start()
        self._helpers += count


@lru_cache(maxsize=1)
def _pool(process: int) -> Pool | None:
    # by process, because helpers do not exist in a forked child
    return Pool() if os.name == "posix" else None


def run(program: Program, threads: int) -> None:
    """Run a program on up to `threads` threads and wait."""
    pool = _pool(os.getpid()) if threads > 1 and program.shared else None
    if pool is None:
        _alone(program)
    else:
        pool.run(program, threads)


def _alone(program: Program) -> None:
    program.set_pool(0)
    library.kernel("crew.play")(program.address)


def num_threads() -> int:
    """How many threads a kernel gets: what torch was told."""
    return min(torch.get_num_threads(), MAX_THREADS)
