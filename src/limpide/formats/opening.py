"""From a path to a checkpoint, whatever lies there."""

from __future__ import annotations

import struct
from pathlib import Path

from limpide.core.errors import CorruptModelFile, ModelFileMissing, UnsupportedFormat
from limpide.formats.base import Checkpoint
from limpide.formats.gguf import is_later_part, read_gguf
from limpide.formats.gguf_header import MAGIC
from limpide.formats.mapped import DAMAGED_HINT
from limpide.formats.safetensors import MAX_HEADER_BYTES, read_folder, read_safetensors

_PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
_PICKLE_HINT = (
    "use the safetensors or GGUF files of this model; most publishers offer them. "
    "Or convert it where you trust it: transformers' `save_pretrained(…, safe_serialization=True)`"
)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a .gguf file (or any part of a split one), a .safetensors file, or a folder.

    A folder holds either config.json with safetensors (one file, or shards with an index), or one GGUF model.
    Only headers are read. Raises ModelFileMissing, CorruptModelFile or UnsupportedFormat.
    """
    path = Path(path)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:  # too long a name, a NUL in it, no right to look
        raise ModelFileMissing(f"{str(path)!r} is no usable path: {error}") from error
    if is_folder:
        return _open_folder(path)
    if not exists:
        raise ModelFileMissing(
            f"{path} does not exist", hint="check the path, or name a model from `limpide models list`"
        )
    suffix = path.suffix.lower()
    if suffix == ".gguf":
        return read_gguf(path)
    if suffix == ".safetensors":
        return read_safetensors(path)
    return _open_by_content(path)


def _open_folder(folder: Path) -> Checkpoint:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise ModelFileMissing(f"{folder} can't be read: {error.strerror}") from error
    gguf = [folder / name for name in names if name.lower().endswith(".gguf") and not is_later_part(name)]
    has_safetensors = any(name.endswith((".safetensors", ".safetensors.index.json")) for name in names)
    if has_safetensors and ("config.json" in names or not gguf):
        return read_folder(folder)
    if len(gguf) == 1:
        return read_gguf(gguf[0])
    if gguf:
        some = ", ".join(file.name for file in gguf[:5])
        raise ModelFileMissing(
            f"{folder} holds {len(gguf)} GGUF models: {some}{' …' if len(gguf) > 5 else ''}",
            expected="one model",
            hint=f"name the file: {gguf[0]}",
        )
    pickled = [name for name in names if Path(name).suffix.lower() in _PICKLE_SUFFIXES]
    if pickled:
        raise _pickle_refused(folder / pickled[0])
    raise ModelFileMissing(f"{folder} holds no model", expected="a .gguf file, or config.json with .safetensors files")


def _open_by_content(path: Path) -> Checkpoint:
    """Files in a content-addressed store have no suffix."""
    if not path.is_file():
        raise ModelFileMissing(f"{path} is no regular file", expected="a file of weights, or a folder")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelFileMissing(f"{path} can't be read: {error.strerror}") from error
    if start[:4] == MAGIC:
        return read_gguf(path)
    if len(start) == 9 and start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] <= MAX_HEADER_BYTES:
        return read_safetensors(path)
    # torch writes a zip archive, or in old days a bare pickle of protocol 2
    if path.suffix.lower() in _PICKLE_SUFFIXES or start.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise _pickle_refused(path)
    raise CorruptModelFile(f"{path} is no model file", expected="a GGUF or safetensors file", hint=DAMAGED_HINT)


def _pickle_refused(path: Path) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"{path} is a pickled checkpoint, and opening one can run any code it brings along",
        expected="safetensors or GGUF",
        hint=_PICKLE_HINT,
    )
