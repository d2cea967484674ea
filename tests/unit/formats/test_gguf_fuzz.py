"""GGUF files damaged at random: opened with every tensor inside the file, or refused in our own words."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpide.core.errors import LimpideError
from limpide.formats import read_gguf

SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NASTY = st.sampled_from(
    [0, 1, 2, 7, 8, 9, 12, 13, 31, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]
)


def check(content: bytes, folder: Path) -> bool:
    """Whether it opened; anything but a table inside the file or a LimpideError fails the test."""
    path = folder / "fuzzed.gguf"
    path.unlink(missing_ok=True)  # never rewrite a file that may still be mapped
    path.write_bytes(content)
    try:
        checkpoint = read_gguf(path)
    except LimpideError:
        return False
    with checkpoint:
        spans = []
        for name, info in checkpoint.tensors.items():
            raw = checkpoint.raw(name)
            assert raw.nbytes == info.nbytes > 0
            assert raw.tobytes() in content
            address = raw.ctypes.data
            spans.append((address, address + raw.nbytes))
        spans.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert str(checkpoint.config)
    return True


@SETTINGS
@given(edits=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=6))
def test_bytes_changed(honest_gguf: Path, tmp_path: Path, edits: list[tuple[int, int]]) -> None:
    content = bytearray(honest_gguf.read_bytes())
    for at, byte in edits:
        content[at % len(content)] = byte
    check(bytes(content), tmp_path)


@SETTINGS
@given(at=st.integers(0), value=NASTY, width=st.sampled_from(["<I", "<Q"]))
def test_numbers_replaced(honest_gguf: Path, tmp_path: Path, at: int, value: int, width: str) -> None:
    """A length, a count or an offset becomes a nasty one."""
    content = bytearray(honest_gguf.read_bytes())
    number = struct.pack(width, value % 2 ** (8 * struct.calcsize(width)))
    at %= len(content) - len(number)
    content[at : at + len(number)] = number
    check(bytes(content), tmp_path)


@SETTINGS
@given(at=st.integers(0), length=st.integers(0, 40), inserted=st.binary(max_size=40))
def test_bytes_cut_out_and_put_in(honest_gguf: Path, tmp_path: Path, at: int, length: int, inserted: bytes) -> None:
    content = honest_gguf.read_bytes()
    at %= len(content)
    check(content[:at] + inserted + content[at + length :], tmp_path)


@SETTINGS
@given(rest=st.binary(max_size=200), tensors=st.integers(0, 4), pairs=st.integers(0, 4))
def test_noise_after_a_good_start(tmp_path: Path, rest: bytes, tensors: int, pairs: int) -> None:
    check(b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + rest, tmp_path)


def test_the_check_itself(honest_gguf: Path, tmp_path: Path) -> None:
    """Undamaged, the file opens: the fuzzing starts from something good."""
    assert check(honest_gguf.read_bytes(), tmp_path)
    assert not check(b"GGUF", tmp_path)


def test_every_byte_of_the_header_flipped(honest_gguf: Path, tmp_path: Path) -> None:
    content = honest_gguf.read_bytes()
    opened = 0
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        opened += check(bytes(damaged), tmp_path)
    assert 0 < opened < len(content)


@pytest.mark.parametrize("seed", range(2))
def test_two_files_spliced(honest_gguf: Path, tmp_path: Path, seed: int) -> None:
    content = honest_gguf.read_bytes()
    for at in range(8 + seed, len(content), 37):
        check(content[:at] + content[: len(content) - at], tmp_path)
