"""Kernels on several threads: one pool for the process, whose helpers sleep when there is nothing to do.

A kernel is a C function `void(int64 *arguments)` that any number of threads may run at once; they share the work by
taking tickets from a counter in the arguments. `crew` has the protocol.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import lru_cache

import torch

from limpide.kernels import library
from limpide.kernels.fields import (
    ARGUMENTS,
    BROADCAST,
    CONDITION,
    FUNCTION,
    LOCK,
    MUTEX,
    NUM_FIELDS,
    UNLOCK,
    WAIT,
    YIELD,
)
from limpide.kernels.library import Entry

MAX_THREADS = 64

_MUTEX_BYTES = 128  # more than any platform's pthread_mutex_t or pthread_cond_t


class Pool:
    """Helpers for whoever has a kernel to run. One job at a time: a second caller does its work alone."""

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
        self._start = library.kernel("crew.start")

    def run(self, kernel: Entry, arguments: int, threads: int) -> None:
        """Run a kernel on up to `threads` threads, this one among them, and wait. `arguments` is an address."""
        if threads < 2 or not self._busy.acquire(blocking=False):
            kernel(arguments)
            return
        try:
            if self._helpers < threads - 1:
                self._hire(threads - 1 - self._helpers)
            self._fields[FUNCTION] = kernel.address
            self._fields[ARGUMENTS] = arguments
            self._start(self._address)
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


def run(kernel: Entry, arguments: int, threads: int) -> None:
    """Run a kernel on up to `threads` threads and wait."""
    pool = _pool(os.getpid()) if threads > 1 else None
    if pool is None:
        kernel(arguments)
    else:
        pool.run(kernel, arguments, threads)


def num_threads() -> int:
    """How many threads a kernel gets: what torch was told."""
    return min(torch.get_num_threads(), MAX_THREADS)
