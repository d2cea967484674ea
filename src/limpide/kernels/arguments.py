"""What a kernel is called with: numbers and addresses in an int64 array, and scratch memory, both kept per thread."""

from __future__ import annotations

import ctypes
import threading
from typing import cast

from limpide.kernels.library import Entry
from limpide.kernels.pool import num_threads, run

MAX_ARGUMENTS = 32
_ALIGNMENT = 64


class _Workspace(threading.local):
    """Each Python thread has its own, so several engines may run at once."""

    def __init__(self) -> None:
        self.arguments = (ctypes.c_int64 * MAX_ARGUMENTS)()
        self.address = ctypes.addressof(self.arguments)
        self.scratch: ctypes.Array[ctypes.c_char] | None = None
        self.scratch_size = 0

    def reserve(self, size: int) -> int:
        """Address of at least `size` bytes, aligned to a cache line. Content is not kept."""
        if self.scratch is None or self.scratch_size < size:
            self.scratch = ctypes.create_string_buffer(size + _ALIGNMENT)
            self.scratch_size = size
        start = ctypes.addressof(self.scratch)
        return (start + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


_workspace = _Workspace()


def call(kernel: Entry, arguments: list[int], *, threads: int | None = None, scratch: int = 0) -> None:
    """Run a kernel. With `scratch`, the address and the size of so many bytes per thread are appended."""
    threads = num_threads() if threads is None else threads
    count = len(arguments)
    space = _workspace.arguments
    space[0:count] = cast("list[ctypes.c_int64 | int]", arguments)
    if scratch:
        stride = (scratch + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
        space[count] = _workspace.reserve(stride * threads)
        space[count + 1] = stride
    run(kernel, _workspace.address, threads)
