"""What this machine has that a model's speed depends on. Measured, because data sheets and containers don't tell."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BUFFER_BYTES = 64 << 20  # per thread: larger than a core's share of any last-level cache, quick to touch
_MEASURE_SECONDS = 0.12
_MATMUL_SIDE = 768

# Names as their makers write them, by what Linux and macOS call them, the widest last.
_ISA = {
    "sse4_2": "SSE4.2",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "NEON I8MM",
    "bf16": "NEON BF16",
    "sve": "SVE",
    "sve2": "SVE2",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores that we may use, memory in bytes, read bandwidth in bytes/s, fp32 matrix speed in flop/s."""

    processor: str
    isa: tuple[str, ...]
    cores: int
    memory_total: int
    memory_available: int
    read_bandwidth: float
    """All cores together, streaming from memory."""
    matmul_flops: float
    """All cores together, as NumPy's BLAS reaches it."""


def measure_machine() -> Machine:
    """Look at this machine. Takes about half a second, nearly all of it measuring."""
    cores = usable_cores()
    total, available = memory()
    return Machine(
        processor=_processor(),
        isa=isa(),
        cores=cores,
        memory_total=total,
        memory_available=available,
        read_bandwidth=read_bandwidth(cores),
        matmul_flops=matmul_flops(),
    )


def usable_cores() -> int:
    """Physical cores, or fewer if this process may not use them all."""
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores()
    return max(1, min(physical, allowed, quota or physical))


def memory() -> tuple[int, int]:
    """Total and available bytes, as far as this process's container lets it use them."""
    import psutil

    found = psutil.virtual_memory()
    total, available = int(found.total), int(found.available)
    limit = _cgroup_number("memory.max", "memory/memory.limit_in_bytes")
    if limit is not None and limit < total:
        used = _cgroup_number("memory.current", "memory/memory.usage_in_bytes") or 0
        total, available = limit, min(available, max(0, limit - used))
    return total, available


def read_bandwidth(threads: int, buffer_bytes: int = _BUFFER_BYTES) -> float:
    """Bytes per second that `threads` threads together read from memory; the best of several passes."""
    import numpy as np

    _, available = memory()
    size = max(1 << 20, min(buffer_bytes, available // (8 * threads))) & ~7
    buffers: list[Any] = [None] * threads

    def fill(index: int) -> None:
        buffers[index] = _touched(size)

    _together(threads, fill)
    # An OR over 64-bit words is the cheapest thing that must read everything, and NumPy lets go of the interpreter.
    return threads * size / _best_time(lambda: _together(threads, lambda i: np.bitwise_or.reduce(buffers[i])))


def matmul_flops() -> float:
    """Floating-point operations per second of an fp32 matrix product."""
    import numpy as np

    a = np.ones((_MATMUL_SIDE, _MATMUL_SIDE), np.float32)
    return 2 * _MATMUL_SIDE**3 / _best_time(lambda: a @ a)


def isa() -> tuple[str, ...]:
    """Vector instructions that matter for speed, the widest last; empty where the system does not tell."""
    flags: set[str] = set()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.partition(":")[2].split())
                break
    except OSError:
        if sys.platform == "darwin" and platform.machine() == "arm64":
            flags = {"asimd", "asimddp"}
    return tuple(name for flag, name in _ISA.items() if flag in flags)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _touched(size: int) -> Any:
    """An array of 64-bit words whose pages are all backed by memory of their own."""
    import mmap

    import numpy as np

    pages = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)  # fewer page faults: filling takes a third of the time
    words = np.frombuffer(pages, dtype=np.uint64)
    words[:: mmap.PAGESIZE // 8] = 1
    return words


def _together(threads: int, work: Callable[[int], Any]) -> None:
    running = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def _best_time(work: Callable[[], Any]) -> float:
    best = float("inf")
    end = time.perf_counter() + _MEASURE_SECONDS
    while (start := time.perf_counter()) < end or best == float("inf"):
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _cgroup_cores() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # no limit is written as the word max
        return None


def _cgroup_number(*names: str) -> int | None:
    for name in names:
        try:
            return int((Path("/sys/fs/cgroup") / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return None
