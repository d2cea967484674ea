"""Fork and join on the threads that torch already has.

A kernel is a C function `void(int64 *arguments)`. It is run on several threads at once, which share the work by taking
tickets from a counter in the arguments, so a thread that the system delays does less of it. Torch's own OpenMP runtime
starts the threads: its operations and our kernels then share one pool, and neither spins against the other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch

MAX_THREADS = 64

_Fork = Callable[[int, int, int, int], None]


@lru_cache(maxsize=1)
def _fork() -> _Fork | None:
    """`GOMP_parallel(function, data, threads, flags)` of the OpenMP runtime that torch has loaded, if there is one."""
    folder = Path(torch.__file__).parent / "lib"
    for library in [
        *sorted(folder.glob("libgomp*")),
        *sorted(folder.glob("libomp*")),
        *sorted(folder.glob("libiomp*")),
    ]:
        try:
            function = ctypes.CDLL(str(library)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        function.restype = None
        return function  # type: ignore[no-any-return]
    return None


class Kernel:
    """A compiled kernel that can be called with the address of its arguments."""

    def __init__(self, address: int) -> None:
        self.address = address
        self._single = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)

    def run(self, arguments: int, threads: int) -> None:
        """Run it on so many threads at once, and wait. `arguments` is an address."""
        fork = _fork() if threads > 1 else None
        if fork is None:
            self._single(arguments)
        else:
            fork(self.address, arguments, threads, 0)


def num_threads() -> int:
    """How many threads a kernel gets: what torch was told."""
    return min(torch.get_num_threads(), MAX_THREADS)
