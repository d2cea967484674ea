"""What strangers and slips hand to the command line: a clear error, an exit code, no traceback, nothing left."""

from __future__ import annotations

import json
import mmap
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from limpide.cli.running import run

Capture = pytest.CaptureFixture[str]


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def pair(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def header(tensors: int, pairs: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs)


def tensor(dims: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text("token_embd.weight") + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


LLAMA = pair("general.architecture", "llama")
FILES: dict[str, tuple[bytes, int]] = {
    "a text": (b"Dear model,\nplease answer.\n", 4),
    "nothing": (b"", 4),
    "half a header": (b"GGUF\x03\x00", 4),
    "a number of tensors that would ask for terabytes": (header(2**60, 1) + LLAMA, 4),
    "a number of keys that would ask for terabytes": (header(1, 2**60) + LLAMA, 4),
    "a string that would ask for terabytes": (header(0, 1) + struct.pack("<Q", 2**50) + b"general", 4),
    "an array that would ask for terabytes": (header(0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**45), 4),
    "a tensor that would ask for terabytes": (header(1, 1) + LLAMA + tensor((2**31, 2**31)) + bytes(64), 4),
    "a tensor beyond the end": (header(1, 1) + LLAMA + tensor((32, 2), offset=2**40) + bytes(512), 4),
    "an unknown architecture": (
        header(1, 1) + pair("general.architecture", "frobnicate") + tensor((1, 1)) + bytes(64),
        6,
    ),
    "an unknown tensor type": (header(1, 1) + LLAMA + tensor((32, 1), kind=9999) + bytes(512), 6),
}


def refused(arguments: list[str], capsys: Capture) -> tuple[int, str]:
    code = run(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "something went wrong inside" not in err
    assert err.startswith("error: ")
    assert "\n  more: docs/errors/" in err
    return code, err


def everything(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_size) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", FILES)
def test_files_that_lie(name: str, tmp_path: Path, capsys: Capture) -> None:
    content, expected = FILES[name]
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    before = everything(tmp_path)
    code, err = refused(["ask", "-m", str(file), "hi"], capsys)
    assert code == expected, err
    assert everything(tmp_path) == before


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.999])
def test_a_truncated_model(share: float, smollm2_path: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "model.gguf"
    with smollm2_path.open("rb") as whole:
        file.write_bytes(whole.read(int(smollm2_path.stat().st_size * share)))
    assert refused(["ask", "-m", str(file), "hi"], capsys)[0] == 4


def no_config(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")


def lying_safetensors(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")


def missing_shard(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    index = {"weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def shard_outside(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    index = {"weight_map": {"model.embed_tokens.weight": "../../etc/passwd"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def pickled(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))


FOLDERS: dict[Callable[[Path], None], int] = {
    no_config: 2,
    broken_config: 4,
    lying_safetensors: 4,
    missing_shard: 2,
    shard_outside: 4,
    pickled: 6,
}


@pytest.mark.parametrize("fill", FOLDERS, ids=lambda fill: fill.__name__)
def test_folders_that_lie(fill: Callable[[Path], None], tmp_path: Path, capsys: Capture) -> None:
    fill(tmp_path)
    before = everything(tmp_path)
    assert refused(["ask", "-m", str(tmp_path), "hi"], capsys)[0] == FOLDERS[fill]
    assert everything(tmp_path) == before


def test_models_that_are_not_there(tmp_path: Path, capsys: Capture) -> None:
    code, err = refused(["ask", "-m", str(tmp_path / "nowhere.gguf"), "hi"], capsys)
    assert code == 2
    assert "nowhere.gguf" in err
    assert refused(["ask", "-m", str(tmp_path), "hi"], capsys)[0] == 2
    code, err = refused(["ask", "-m", "smolm2-135m", "hi"], capsys)
    assert code == 2
    assert "smollm2-135m" in err, "the nearest name"


def test_offline_and_not_here(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMPIDE_CACHE", "HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    code, err = refused(["ask", "--offline", "hi"], capsys)
    assert code == 3
    assert "limpide models pull" in err or "offline" in err


def test_a_licence_that_nobody_accepted(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("LIMPIDE_HOME", raising=False)
    monkeypatch.delenv("LIMPIDE_ACCEPT_LICENCE", raising=False)
    code, err = refused(["ask", "--offline", "-m", "gemma3-270m", "hi"], capsys)
    assert code == 2
    assert "--accept-licence gemma" in err


def test_a_prompt_longer_than_the_context(smollm2_path: Path, capsys: Capture) -> None:
    code, err = refused(["ask", "-m", str(smollm2_path), "--context", "64", "again and " * 100], capsys)
    assert code == 2
    assert "the context holds 64" in err


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}{{ i }}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**12 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('no such turn') }}",
        "{% if %}",
    ],
)
def test_a_hostile_template(template: str, smollm2_path: Path, tmp_path: Path, capsys: Capture) -> None:
    """The real model with another template of the same length, so that every size in the file still holds."""
    file = tmp_path / "model.gguf"
    shutil.copyfile(smollm2_path, file)
    with file.open("r+b") as handle, mmap.mmap(handle.fileno(), 0) as data:
        at = data.find(b"tokenizer.chat_template") + len("tokenizer.chat_template") + 4
        (length,) = struct.unpack_from("<Q", data, at)
        padded = template.encode() + b"{#" + b"x" * (length - len(template) - 4) + b"#}"
        data[at + 8 : at + 8 + length] = padded
    code, err = refused(["ask", "-m", str(file), "hi"], capsys)
    assert code == 4
    assert "template-error" in err
