"""What lies at a path decides how it is opened."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limpide.core.errors import CorruptModelFile, ModelFileMissing, UnsupportedFormat
from limpide.formats import open_checkpoint


def test_by_content_when_the_name_says_nothing(honest_gguf: Path, tmp_path: Path) -> None:
    """Files in a content-addressed store are named by their hash."""
    shutil.copy(honest_gguf, tmp_path / "1f2e3d")
    save_file({"w": torch.ones(3)}, tmp_path / "4c5b6a")
    with open_checkpoint(tmp_path / "1f2e3d") as first, open_checkpoint(tmp_path / "4c5b6a") as second:
        assert (first.kind, second.kind) == ("gguf", "safetensors")


def test_text_path(honest_gguf: Path) -> None:
    with open_checkpoint(str(honest_gguf)) as ours:  # type: ignore[arg-type]
        assert ours.path == honest_gguf


def test_folder_with_one_gguf(honest_gguf: Path, tmp_path: Path) -> None:
    shutil.copy(honest_gguf, tmp_path / "Model.GGUF")
    (tmp_path / "README.md").write_text("hello")
    with open_checkpoint(tmp_path) as ours:
        assert ours.kind == "gguf"


def test_folder_with_two_models(honest_gguf: Path, tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        shutil.copy(honest_gguf, tmp_path / name)
    with pytest.raises(ModelFileMissing, match=r"2 GGUF models: a\.gguf, b\.gguf"):
        open_checkpoint(tmp_path)


def test_safetensors_come_before_gguf(honest_gguf: Path, tmp_path: Path) -> None:
    shutil.copy(honest_gguf, tmp_path / "a.gguf")
    save_file({"w": torch.ones(3)}, tmp_path / "model.safetensors")
    with open_checkpoint(tmp_path) as ours:  # without config.json the safetensors can't be a model
        assert ours.kind == "gguf"
    (tmp_path / "config.json").write_text("{}")
    with open_checkpoint(tmp_path) as ours:
        assert ours.kind == "safetensors"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileMissing, match="does not exist"):
        open_checkpoint(tmp_path / "nothing")
    with pytest.raises(ModelFileMissing, match="holds no model"):
        open_checkpoint(tmp_path)
    with pytest.raises(ModelFileMissing):
        open_checkpoint(tmp_path / ("x" * 5000))
    with pytest.raises(ModelFileMissing):
        open_checkpoint(Path("a\0b"))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(str(trap))))
    torch.save({"w": torch.ones(2)}, tmp_path / "zipped")
    (tmp_path / "bare").write_bytes(pickle.dumps(Trap(str(trap)), protocol=2))
    for path in (tmp_path, tmp_path / "pytorch_model.bin", tmp_path / "zipped", tmp_path / "bare"):
        with pytest.raises(UnsupportedFormat, match="any code") as refusal:
            open_checkpoint(path)
        assert "safetensors" in str(refusal.value)
    assert not trap.exists()


def test_neither_fish_nor_fowl(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("just text")
    (tmp_path / "short").write_bytes(b"GG")
    (tmp_path / "empty").touch()
    for name in ("notes.txt", "short", "empty"):
        with pytest.raises(CorruptModelFile, match="no model file"):
            open_checkpoint(tmp_path / name)
