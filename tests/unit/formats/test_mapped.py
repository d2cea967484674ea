"""A mapped file, and giving back what reading it took."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from limpide.formats.mapped import MappedFile

PAGE = mmap.PAGESIZE


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="this system can't be told")
def test_forgotten_pages_are_read_again_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes([1]) * (4 * PAGE))
    file = MappedFile(path)
    view = file.view(0, 4 * PAGE)
    view[:] = 2  # pages of our own: that they are gone afterwards shows that they were given back
    file.forget(PAGE // 2, 2 * PAGE)
    expected = np.full(4 * PAGE, 2, dtype=np.uint8)
    expected[PAGE : 2 * PAGE] = 1  # the only whole page among the bytes: its neighbours belong to others too
    assert np.array_equal(view, expected)


def test_forgetting_less_than_a_page_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(2 * PAGE))
    file = MappedFile(path)
    view = file.view(0, 2 * PAGE)
    view[:] = 3
    file.forget(1, PAGE)
    file.forget(PAGE, 0)
    assert (view == 3).all()
