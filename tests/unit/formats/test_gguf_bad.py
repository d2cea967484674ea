"""GGUF files that are damaged, truncated, or lie: each has its own clear refusal, at once and in no memory."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from limpide.core.errors import CorruptModelFile, LimpideError, ModelFileMissing, UnsupportedFormat
from limpide.formats import read_gguf

HUGE = 2**63 + 5


@contextmanager
def refused(kind: type[LimpideError], match: str) -> Iterator[None]:
    """Expect the error soon, and nothing large allocated on the way."""
    tracemalloc.start()
    started = time.perf_counter()
    try:
        with pytest.raises(kind, match=match):
            yield
        assert time.perf_counter() - started < 1
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_missing_file(tmp_path: Path) -> None:
    with refused(ModelFileMissing, "does not exist"):
        read_gguf(tmp_path / "nothing.gguf")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    path.touch()
    with refused(CorruptModelFile, "empty"):
        read_gguf(path)


def test_unreadable_path(tmp_path: Path) -> None:
    with refused(ModelFileMissing, "usable path"):
        read_gguf(Path("a\0b.gguf"))
    with refused(ModelFileMissing, "regular file"):
        read_gguf(tmp_path)
    os.mkfifo(tmp_path / "pipe.gguf")
    with refused(ModelFileMissing, "regular file"):
        read_gguf(tmp_path / "pipe.gguf")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"Hello, I am a text file that somebody renamed.\n" * 3, "no GGUF file: it looks like text"),
        (b"<!doctype html><html><body>404</body></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"PK\x03\x04" + b"\0" * 60, "zip archive"),
        (b"\x80\x02\x8a\x0a" + b"\0" * 60, "80 02 8a 0a"),
        (b"GGU", "no GGUF file"),
        (b"FUGG" + b"\0" * 40, "reversed"),
    ],
)
def test_no_gguf_at_all(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with refused(CorruptModelFile, told):
        read_gguf(path)


def test_versions(make: Any) -> None:
    with refused(UnsupportedFormat, "version 1"):
        read_gguf(make(version=1))
    with refused(UnsupportedFormat, "version 4"):
        read_gguf(make(version=4))
    with refused(UnsupportedFormat, "big-endian"):
        read_gguf(make(version=3 << 24))


def test_truncated_anywhere(honest_gguf: Path, tmp_path: Path) -> None:
    """Cut at every length: always refused, always with the count of missing bytes."""
    whole = honest_gguf.read_bytes()
    with read_gguf(honest_gguf) as ours:
        last = list(ours.tensors)[-1]
        end = whole.rindex(ours.raw(last).tobytes()) + ours.tensors[last].nbytes  # padding may follow
    for length in range(4, end):
        path = tmp_path / f"{length}.gguf"
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptModelFile, match="missing"):
            read_gguf(path)
        path.unlink()


def test_truncated_says_how_much(honest_gguf: Path, tmp_path: Path, make: Any) -> None:
    path = make([], [make.tensor("w", [1000])], b"\0" * 3000)
    with refused(CorruptModelFile, ": 1000 bytes are missing"):
        read_gguf(path)


def test_counts_that_lie(make: Any) -> None:
    with refused(CorruptModelFile, "missing"):
        read_gguf(make(num_pairs=HUGE))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make(num_tensors=HUGE))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make(num_tensors=2**40, num_pairs=2**40))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([make.pair("k", 0, b"\1")], num_pairs=2))


def test_too_many_tensors_for_any_model(make: Any) -> None:
    path = make(num_tensors=1 << 18)
    os.truncate(path, 24 << 20)
    with refused(CorruptModelFile, "at most"):
        read_gguf(path)


@pytest.mark.parametrize("length", [2**20, 2**40, HUGE, 2**64 - 1])
def test_string_lengths_that_lie(make: Any, length: int) -> None:
    lie = struct.pack("<Q", length)
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([lie + b"key"]))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([make.pair("k", 8, lie + b"value")]))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([make.pair("k", 9, struct.pack("<IQ", 8, 2) + make.text("a") + lie + b"b")]))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([], [lie + b"name"]))


@pytest.mark.parametrize("kind", [*range(13)])
@pytest.mark.parametrize("length", [2**30, HUGE, 2**64 - 1])
def test_array_lengths_that_lie(make: Any, kind: int, length: int) -> None:
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([make.pair("k", 9, struct.pack("<IQ", kind, length) + b"\0" * 64)]))


def test_arrays_nested_without_end(make: Any) -> None:
    with refused(CorruptModelFile, "deep"):
        read_gguf(make([make.pair("k", 9, struct.pack("<IQ", 9, 1) * 10_000)]))


def test_millions_of_empty_strings(tmp_path: Path, make: Any) -> None:
    """A file of holes takes no disk, and must take no memory either."""
    path = make([make.pair("k", 9, struct.pack("<IQ", 8, 30_000_000))])
    os.truncate(path, 240_001_000)
    with refused(CorruptModelFile, "more than"):
        read_gguf(path)


def test_header_without_end(make: Any) -> None:
    path = make([make.pair("k", 9, struct.pack("<IQ", 0, 10**11))])
    os.truncate(path, 10**11 + 1000)
    with refused(CorruptModelFile, "header is longer"):
        read_gguf(path)


def test_unknown_value_type(make: Any) -> None:
    with refused(CorruptModelFile, "unknown type 13"):
        read_gguf(make([make.pair("k", 13, b"\0" * 8)]))
    with refused(CorruptModelFile, "unknown type 77"):
        read_gguf(make([make.pair("k", 9, struct.pack("<IQ", 77, 1) + b"\0" * 8)]))


def test_truth_values(make: Any) -> None:
    with refused(CorruptModelFile, "truth value"):
        read_gguf(make([make.pair("k", 7, b"\2")]))
    with refused(CorruptModelFile, "truth value"):
        read_gguf(make([make.pair("k", 9, struct.pack("<IQ", 7, 2) + b"\1\xff")]))


def test_not_utf8(make: Any) -> None:
    bad = make.text(b"\xff\xfe")
    for pairs, tensors in (
        ([bad + struct.pack("<IB", 0, 1)], []),
        ([make.pair("k", 8, bad)], []),
        ([make.pair("k", 9, struct.pack("<IQ", 8, 1) + bad)], []),
        ([], [bad + struct.pack("<IQIQ", 1, 1, 0, 0)]),
    ):
        with refused(CorruptModelFile, "UTF-8"):
            read_gguf(make(pairs, tensors, b"\0" * 32))


def test_names_and_keys(make: Any) -> None:
    with refused(CorruptModelFile, "'k' comes twice"):
        read_gguf(make([make.pair("k", 0, b"\1")] * 2))
    with refused(CorruptModelFile, "key 0 is empty"):
        read_gguf(make([make.pair("", 0, b"\1")]))
    with refused(CorruptModelFile, "70000 bytes long"):
        read_gguf(make([make.pair("k" * 70_000, 0, b"\1")]))
    with refused(CorruptModelFile, "two tensors named 'w'"):
        read_gguf(make([], [make.tensor("w", [8]), make.tensor("w", [8], offset=32)], b"\0" * 64))
    with refused(CorruptModelFile, "a name"):
        read_gguf(make([], [make.tensor("", [8])], b"\0" * 32))
    with refused(CorruptModelFile, "300 bytes long"):
        read_gguf(make([], [make.tensor("w" * 300, [8])], b"\0" * 32))


@pytest.mark.parametrize("value", [0, 3, 48, 2**32 - 1])
def test_alignment(make: Any, value: int) -> None:
    with refused(CorruptModelFile, "general.alignment"):
        read_gguf(make([make.pair("general.alignment", 4, struct.pack("<I", value))]))


def test_alignment_of_another_type(make: Any) -> None:
    for kind, value in ((8, make.text("32")), (5, struct.pack("<i", 32)), (10, struct.pack("<Q", 32)), (7, b"\1")):
        with refused(CorruptModelFile, "general.alignment"):
            read_gguf(make([make.pair("general.alignment", kind, value)]))
    with refused(CorruptModelFile, "general.alignment"):
        read_gguf(make([make.pair("general.alignment", 9, struct.pack("<IQI", 4, 1, 32))]))


def test_offsets_that_lie(make: Any) -> None:
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([], [make.tensor("w", [8], offset=2**62)], b"\0" * 32))
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([], [make.tensor("w", [8], offset=2**64 - 32)], b"\0" * 32))
    with refused(CorruptModelFile, "no multiple of the alignment"):
        read_gguf(make([], [make.tensor("w", [8], offset=5)], b"\0" * 64))
    with refused(CorruptModelFile, "overlap"):
        read_gguf(make([], [make.tensor("v", [9]), make.tensor("w", [8], offset=32)], b"\0" * 96))


def test_shapes_that_lie(make: Any) -> None:
    with refused(CorruptModelFile, "missing"):
        read_gguf(make([], [make.tensor("w", [2**40])], b"\0" * 32))
    with refused(CorruptModelFile, "missing"):  # the product is 2^256: no 64-bit number is allowed to wrap
        read_gguf(make([], [make.tensor("w", [2**63] * 4)], b"\0" * 32))
    with refused(CorruptModelFile, "missing"):  # wraps to 0 in 64 bits
        read_gguf(make([], [make.tensor("w", [2**32, 2**32])], b"\0" * 32))
    with refused(CorruptModelFile, "5 dimensions"):
        read_gguf(make([], [make.tensor("w", [1] * 5)], b"\0" * 32))
    with refused(CorruptModelFile, "4294967295 dimensions"):
        read_gguf(make([], [make.tensor("w", [1], num_dims=2**32 - 1)], b"\0" * 32))
    with refused(CorruptModelFile, "holds nothing"):
        read_gguf(make([], [make.tensor("w", [8, 0])], b"\0" * 32))


def test_rows_that_are_no_whole_blocks(make: Any) -> None:
    with refused(CorruptModelFile, r"rows of 48 numbers, stored as Q4_0"):
        read_gguf(make([], [make.tensor("w", [48, 2], kind=2)], b"\0" * 64))


@pytest.mark.parametrize("kind", [4, 5, 31, 42, 1000, 2**32 - 1])
def test_unknown_tensor_type(make: Any, kind: int) -> None:
    with refused(UnsupportedFormat, f"'blk.0.w' of .* has the unknown type {kind}"):
        read_gguf(make([], [make.tensor("blk.0.w", [32], kind=kind)], b"\0" * 64))


def test_refused_files_are_closed(make: Any) -> None:
    path = make(num_tensors=HUGE)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        with pytest.raises(CorruptModelFile):
            read_gguf(path)
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_more_splits_than_files(make: Any) -> None:
    path = make([make.pair("split.count", 2, struct.pack("<H", 65535))], name="m-00001-of-65535.gguf")
    with refused(ModelFileMissing, "65534 of the 65535 parts"):
        read_gguf(path)
