"""The safetensors reader against the library, on honest files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from limpide.core.errors import CorruptModelFile, ModelFileMissing, UnsupportedFormat
from limpide.formats import TensorInfo, open_checkpoint

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def some_tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    tensors = {name: (torch.randn(3, 5) * 50).to(dtype) for name, dtype in DTYPES.items()}
    return tensors | {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4), "experts": torch.randn(2, 3, 4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8}))
    return tmp_path


def test_reads_what_the_library_reads(folder: Path) -> None:
    save_file(some_tensors(), folder / "model.safetensors", metadata={"format": "pt"})
    reference = load_file(folder / "model.safetensors")
    with open_checkpoint(folder) as ours:
        assert ours.kind == "safetensors"
        assert ours.path == folder
        assert dict(ours.config) == {"model_type": "llama", "hidden_size": 8}
        assert set(ours.tensors) == set(reference)
        for name, expected in reference.items():
            info = ours.tensors[name]
            assert info.shape == tuple(expected.shape)
            raw = torch.from_numpy(ours.raw(name))
            assert raw.nbytes == info.nbytes
            assert raw.tolist() == expected.reshape(-1).view(torch.uint8).tolist()
        for name in DTYPES:
            assert ours.tensors[name].format == name
        assert ours.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_one_file_of_any_name(folder: Path) -> None:
    save_file({"w": torch.ones(2)}, folder / "weights.safetensors")
    with open_checkpoint(folder) as ours, open_checkpoint(folder / "weights.safetensors") as alone:
        assert ours.tensors == alone.tensors == {"w": TensorInfo("w", (2,), "F32", 8)}
        assert ours.config == alone.config


def test_a_file_without_config(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "weights.safetensors")
    with open_checkpoint(tmp_path / "weights.safetensors") as ours:
        assert not ours.config
    with pytest.raises(ModelFileMissing, match=r"no config\.json"):
        open_checkpoint(tmp_path)


def test_two_files_and_no_index(folder: Path) -> None:
    for name in "ab":
        save_file({"w": torch.ones(2)}, folder / f"{name}.safetensors")
    with pytest.raises(ModelFileMissing, match=r"2 safetensors files \(a\.safetensors, b\.safetensors\) and no index"):
        open_checkpoint(folder)


@pytest.fixture
def sharded(folder: Path) -> Path:
    weight_map = {}
    for number in (1, 2):
        name = f"model-{number:05d}-of-00002.safetensors"
        save_file({f"w{number}": torch.full((2, 2), float(number))}, folder / name)
        weight_map[f"w{number}"] = name
    write_index(folder, weight_map)
    return folder


def write_index(folder: Path, weight_map: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_sharded(sharded: Path) -> None:
    with open_checkpoint(sharded) as ours:
        assert set(ours.tensors) == {"w1", "w2"}
        assert torch.from_numpy(ours.raw("w2")).view(torch.float32).tolist() == [2.0] * 4
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in sorted(sharded.glob("*.safetensors"))
        ]
        assert ours.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_links_into_a_store(sharded: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As in the Hugging Face cache, where every file is a link to a blob elsewhere."""
    store = tmp_path_factory.mktemp("store")
    for path in sharded.glob("*.safetensors"):
        path.rename(store / path.name)
        path.symlink_to(store / path.name)
    with open_checkpoint(sharded) as ours:
        assert len(ours.tensors) == 2


def test_a_shard_is_missing(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelFileMissing, match=r"1 of the 2 shards.*model-00002"):
        open_checkpoint(sharded)


def test_a_tensor_is_not_where_the_index_says(sharded: Path) -> None:
    write_index(sharded, {"w1": "model-00002-of-00002.safetensors"})
    with pytest.raises(CorruptModelFile, match="'w1' is not in model-00002"):
        open_checkpoint(sharded)


@pytest.mark.parametrize(
    "name",
    [
        "../model-00001-of-00002.safetensors",
        "/etc/x.safetensors",
        "sub/x.safetensors",
        "..\\x.safetensors",
        "C:x.safetensors",
        "x.safetensors\0",
        "passwd",
        "",
        7,
        None,
    ],
)
def test_an_index_that_points_elsewhere(sharded: Path, name: object) -> None:
    write_index(sharded, {"w1": name})
    with pytest.raises(CorruptModelFile, match="puts tensor 'w1' into"):
        open_checkpoint(sharded)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "nonsense", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000]
)
def test_an_index_that_is_none(sharded: Path, content: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CorruptModelFile):
        open_checkpoint(sharded)


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"{", b"\xff\xfe", b'{"a": 1' + b"0" * 5000 + b"}", b" " * (17 << 20)]
)
def test_a_config_that_is_none(folder: Path, content: bytes) -> None:
    save_file({"w": torch.ones(2)}, folder / "model.safetensors")
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CorruptModelFile, match=r"config\.json"):
        open_checkpoint(folder)


def test_an_unknown_dtype(folder: Path) -> None:
    header = b'{"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(UnsupportedFormat, match=r"'w' of .* has the dtype 'C64'"):
        open_checkpoint(folder)


def test_a_file_of_many_gigabytes_is_read(tmp_path: Path) -> None:
    """Three tensors of 5 GB; the file has holes where their numbers would be, so that it takes no room."""
    size, places = 5 << 30, {}
    for index, name in enumerate(("a", "b", "c")):
        places[name] = {"dtype": "U8", "shape": [5 << 10, 1 << 20], "data_offsets": [index * size, (index + 1) * size]}
    header = json.dumps(places).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(file.tell() + 3 * size)
        file.seek(-1, 2)
        file.write(b"\x07")
    with open_checkpoint(path) as ours:
        assert {info.nbytes for info in ours.tensors.values()} == {size}
        assert ours.raw("c")[-1] == 7
        assert ours.raw("b")[0] == 0
