"""The GGUF reader against gguf-py, on honest files."""

from __future__ import annotations

import hashlib
import struct
import warnings
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from limpide.core.errors import CorruptModelFile, ModelFileMissing
from limpide.formats import open_checkpoint, read_gguf


def test_reads_what_ggufpy_reads(honest_gguf: Path) -> None:
    reference = gguf.GGUFReader(honest_gguf)
    with read_gguf(honest_gguf) as ours:
        assert ours.kind == "gguf"
        assert ours.version == 3
        assert ours.path == honest_gguf
        fields = {key: field for key, field in reference.fields.items() if not key.startswith("GGUF.")}
        assert list(ours.config) == list(fields)
        for key, field in fields.items():
            value = ours.config[key]
            assert (value.tolist() if isinstance(value, np.ndarray) else value) == field.contents(), key
        assert list(ours.tensors) == [tensor.name for tensor in reference.tensors]
        for tensor in reference.tensors:
            info = ours.tensors[tensor.name]
            assert info.shape == tuple(reversed(tensor.shape.tolist()))
            assert info.format == tensor.tensor_type.name
            assert info.nbytes == tensor.n_bytes
            assert ours.raw(tensor.name).tobytes() == tensor.data.tobytes()


def test_kinds_of_values(honest_gguf: Path) -> None:
    with read_gguf(honest_gguf) as ours:
        config = ours.config
        assert config["t.yes"] is True
        assert config["t.u64"] == 2**63 + 1
        assert config["t.text"] == "déjà vu 𝄞"
        assert config["t.strings"] == ["", "a", "été", "日本"]
        assert config["t.floats"].dtype == np.float32
        assert config["t.bools"].dtype == np.bool_
        assert not config["t.ints"].flags.writeable
        with pytest.raises(TypeError):
            config["t.yes"] = False  # type: ignore[index]


def test_raw_is_mapped_and_private(honest_gguf: Path) -> None:
    before = honest_gguf.read_bytes()
    with read_gguf(honest_gguf) as ours:
        raw = ours.raw("matrix")
        assert raw.dtype == np.uint8
        assert raw.ndim == 1
        assert not raw.flags.owndata
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns of arrays that can't be written to
            torch.from_numpy(raw)[0] += 1
        with pytest.raises(KeyError):
            ours.raw("no such tensor")
    assert honest_gguf.read_bytes() == before
    assert raw[0] == ((before[before.index(raw[1:].tobytes()) - 1] + 1) & 255)


def test_close_twice_and_use_after(honest_gguf: Path) -> None:
    ours = read_gguf(honest_gguf)
    raw = ours.raw("vector")
    kept = raw.copy()
    ours.close()
    ours.close()
    assert (raw == kept).all()
    with pytest.raises(ValueError, match="closed"):
        ours.raw("vector")


def test_sha256_is_the_files(honest_gguf: Path) -> None:
    with read_gguf(honest_gguf) as ours:
        assert ours.sha256 == hashlib.sha256(honest_gguf.read_bytes()).hexdigest()


def test_sha256_after_a_change_of_directory(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = hashlib.sha256(make().read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    with read_gguf(Path("built.gguf")) as ours:
        monkeypatch.chdir("/")
        assert ours.sha256 == expected


def test_version_2_and_alignment(make: Any) -> None:
    name = struct.pack("<Q", 1) + b"w"
    key = struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<II", 4, 64)
    entries = [name + struct.pack("<IQIQ", 1, 4, 0, 64)]
    path = make([key], entries, b"\0" * 64 + struct.pack("<4f", 1, 2, 3, 4), version=2, alignment=64)
    with read_gguf(path) as ours:
        assert ours.version == 2
        assert ours.raw("w").view(np.float32).tolist() == [1, 2, 3, 4]


def test_nested_arrays(make: Any) -> None:
    inner = struct.pack("<IQ3B", 0, 3, 1, 2, 3)
    value = struct.pack("<IQ", 9, 2) + inner + struct.pack("<IQ", 8, 1) + struct.pack("<Q", 2) + b"hi"
    with read_gguf(make([struct.pack("<Q", 1) + b"k" + struct.pack("<I", 9) + value])) as ours:
        first, second = ours.config["k"]
        assert first.tolist() == [1, 2, 3]
        assert second == ["hi"]


def test_a_vocabulary_without_weights(make: Any) -> None:
    with read_gguf(make()) as ours:
        assert not ours.tensors
        assert not ours.config


@pytest.fixture
def split_model(tmp_path: Path) -> list[Path]:
    writer = gguf.GGUFWriter(tmp_path / "big.gguf", "llama", split_max_tensors=2)
    for number in range(5):
        writer.add_tensor(f"w{number}", np.full((2, 3), number, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(tmp_path.glob("big-*.gguf"))


def test_split(split_model: list[Path]) -> None:
    assert [path.name for path in split_model] == [f"big-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    for path in split_model:
        with open_checkpoint(path) as ours:
            assert set(ours.tensors) == {f"w{number}" for number in range(5)}
            assert ours.config["general.architecture"] == "llama"
            for number in range(5):
                assert (ours.raw(f"w{number}").view(np.float32) == number).all()
            digests = [hashlib.sha256(part.read_bytes()).hexdigest() + "  " + part.name + "\n" for part in split_model]
            assert ours.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()
    with open_checkpoint(split_model[0].parent) as ours:
        assert len(ours.tensors) == 5


def test_split_with_a_part_missing(split_model: list[Path]) -> None:
    split_model[1].unlink()
    with pytest.raises(ModelFileMissing, match=r"1 of the 3 parts.*big-00002-of-00003\.gguf"):
        read_gguf(split_model[0])


def test_split_with_a_part_of_something_else(split_model: list[Path]) -> None:
    split_model[1].write_bytes(split_model[2].read_bytes())
    with pytest.raises(CorruptModelFile, match="belong together"):
        read_gguf(split_model[0])


def test_split_renamed(split_model: list[Path]) -> None:
    renamed = split_model[0].rename(split_model[0].with_name("model.gguf"))
    with pytest.raises(ModelFileMissing, match="one of 3 parts"):
        read_gguf(renamed)
