"""What a kernel is called with: numbers and addresses in an int64 array, and scratch memory, both kept per thread."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence

from limpide.kernels.library import Entry
from limpide.kernels.pool import Program, num_threads, run

_ALIGNMENT = 64


class _Workspace(threading.local):
    """Each Python thread has its own, so several engines may run at once."""

    def __init__(self) -> None:
        self.scratch: list[ctypes.Array[ctypes.c_char]] = []
        self.scratch_size = 0
        self.record: list[Call] | None = None

    def reserve(self, size: int) -> int:
        """Address of at least `size` bytes, aligned to a cache line. Content is not kept, the address stays valid."""
        if self.scratch_size < size:
            self.scratch.append(ctypes.create_string_buffer(size + _ALIGNMENT))
            self.scratch_size = size
        start = ctypes.addressof(self.scratch[-1])
        return (start + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


_workspace = _Workspace()


class Call:
    """A kernel with its arguments. Whatever these are addresses of has to outlive it."""

    __slots__ = ("_arguments", "entry", "threads")

    def __init__(self, kernel: Entry, arguments: list[int], *, threads: int | None = None, scratch: int = 0) -> None:
        self.threads = num_threads() if threads is None else threads
        if scratch:
            stride = (scratch + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
            arguments += (_workspace.reserve(stride * self.threads), stride)
        self._arguments = (ctypes.c_int64 * len(arguments))(*arguments)
        # The next ticket is counted in the arguments, and the next thread where each has its own scratch.
        counters = 2 if scratch else 1
        self.entry = (kernel.address, ctypes.addressof(self._arguments), int(self.threads > 1), counters)
        """What a program is made of"""


class Recording:
    """Calls that were made, and can all be made again at once."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = tuple(calls)
        self._program = Program([call.entry for call in calls])
        self._threads = max((call.threads for call in calls), default=1)

    def __call__(self) -> None:
        """Make them again, and wait."""
        run(self._program, self._threads)


def call(kernel: Entry, arguments: list[int], *, threads: int | None = None, scratch: int = 0) -> None:
    """Run a kernel. With `scratch`, the address and the size of so many bytes per thread are appended."""
    prepared = Call(kernel, arguments, threads=threads, scratch=scratch)
    if _workspace.record is not None:
        _workspace.record.append(prepared)
    run(Program([prepared.entry]), prepared.threads)


def record(work: Callable[[], object]) -> Recording:
    """Do some work, and keep the calls of kernels that it made, to be made again."""
    calls: list[Call] = []
    outer, _workspace.record = _workspace.record, calls
    try:
        work()
    finally:
        _workspace.record = outer
    if outer is not None:
        outer += calls
    return Recording(calls)
