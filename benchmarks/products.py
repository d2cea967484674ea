"""How fast the kernels multiply, alone: one pass over matrices as a model has them, read from memory like a model's.

    python benchmarks/products.py --format Q4_1 --columns 576 --rows 1 4 512

For each number of rows of activations: gigabytes of weights per second, thousand million operations (multiplications
and additions) per second, and the time per matrix. The matrices are random blocks that take `--megabytes` together, so
they don't stay in the last-level cache. Best of `--rounds`: it is what the kernel can do when nobody disturbs it.
"""

from __future__ import annotations

import argparse
import time

import torch

from limpide.hub.machine import measure_machine
from limpide.kernels import matmul
from limpide.kernels.arguments import record
from limpide.quant.registry import get_format


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", nargs="+", default=["Q4_1"], choices=sorted(matmul.FORMATS))
    parser.add_argument("--columns", type=int, default=576)
    parser.add_argument("--height", type=int, default=1536, help="rows of each matrix")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 512], help="rows of activations")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.format:
        matrices = make(name, options.height, options.columns, options.megabytes)
        for rows in options.rows:
            print(line(name, matrices, rows, options.rounds), flush=True)
    print(f"this machine reads {measure_machine().read_bandwidth / 1e9:.1f} GB/s")


def make(name: str, height: int, columns: int, megabytes: int) -> list[matmul.Matrix]:
    """Random bytes, but small scales: half-precision numbers with a zero exponent's highest bits."""
    stored = get_format(name)
    size = height * stored.row_bytes(columns)
    count = max(1, megabytes * 1_000_000 // size)
    return [
        matmul.Matrix.of(torch.randint(0, 32, (height, size // height), dtype=torch.uint8), name, columns)
        for _ in range(count)
    ]


def line(name: str, matrices: list[matmul.Matrix], rows: int, rounds: int) -> str:
    columns, height = matrices[0].columns, matrices[0].rows
    rounded = matmul.round_plain(torch.randn(rows, columns))
    out = torch.empty(rows, height)
    used = matrices if rows < 64 else matrices[: max(1, len(matrices) // 8)]
    best = float("inf")

    def multiply() -> None:
        for matrix in used:
            matmul.multiply(rounded, [matrix], [out])

    again = record(multiply)
    for _ in range(rounds):
        started = time.perf_counter()
        again()
        best = min(best, time.perf_counter() - started)
    weights = sum(matrix.rows * matrix.row_bytes for matrix in used)
    operations = 2 * rows * columns * height * len(used)
    return (
        f"{name} {height}x{columns}, {rows} rows: {weights / best / 1e9:.1f} GB/s, "
        f"{operations / best / 1e9:.0f} GOP/s, {best / len(used) * 1e6:.1f} µs per matrix"
    )


if __name__ == "__main__":
    main()
