"""Safetensors: one file, or several with an index; the description is config.json beside them.

Source: the format description in the safetensors repository. Stricter than the library in places, never laxer: what is
accepted here is accepted there.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn, TypeGuard

import numpy as np
import numpy.typing as npt

from limpide.core.errors import CorruptModelFile, ModelFileMissing, UnsupportedFormat
from limpide.formats.base import Checkpoint, TensorInfo
from limpide.formats.mapped import DAMAGED_HINT, MappedFile, joint_sha256
from limpide.formats.storage import SAFETENSORS_TYPES, STORAGE

MAX_HEADER_BYTES = 16 << 20
"""Room for some 130,000 tensors. The library takes 100 MB, but parsed JSON can be twenty times as large as its text."""
MAX_JSON_BYTES = 16 << 20
"""For config.json and the index of shards; the largest real index takes 9 MB."""
_MAX_COUNT = 1 << 62


@dataclass(frozen=True, slots=True)
class _Placed:
    info: TensorInfo
    file: MappedFile
    start: int


class Safetensors(Checkpoint):
    """An opened safetensors checkpoint."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], files: Sequence[MappedFile], placed: dict[str, _Placed]
    ) -> None:
        """Use `read_safetensors`, which checks the files."""
        self._path = path
        self._config = MappingProxyType(dict(config))
        self._files = tuple(files)
        self._placed = placed
        self._tensors = MappingProxyType({name: tensor.info for name, tensor in placed.items()})

    @property
    def path(self) -> Path:
        """The file or folder that was opened."""
        return self._path

    @property
    def kind(self) -> Literal["safetensors"]:
        """Always "safetensors"."""
        return "safetensors"

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of weights, in order."""
        return tuple(file.path for file in self._files)

    @property
    def config(self) -> Mapping[str, Any]:
        """What config.json says; empty for a lone file without one."""
        return self._config

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor by name."""
        return self._tensors

    @property
    def sha256(self) -> str:
        """See `Checkpoint.sha256`."""
        return joint_sha256(self._files)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """See `Checkpoint.raw`."""
        tensor = self._placed[name]
        return tensor.file.view(tensor.start, tensor.info.nbytes)

    def forget(self, name: str) -> None:
        """See `Checkpoint.forget`."""
        tensor = self._placed[name]
        tensor.file.forget(tensor.start, tensor.info.nbytes)

    def close(self) -> None:
        """See `Checkpoint.close`."""
        for file in self._files:
            file.close()


def read_safetensors(path: Path) -> Safetensors:
    """Open one .safetensors file; config.json is read if it lies beside. Raises as `read_folder`."""
    config = path.with_name("config.json")
    return _open_files(path, read_json(config) if config.is_file() else {}, [path], None)


def read_folder(folder: Path) -> Safetensors:
    """Open a Hugging Face folder: config.json with model.safetensors, or with shards and their index.

    Raises ModelFileMissing, CorruptModelFile or UnsupportedFormat; reads only headers.
    """
    if not (folder / "config.json").is_file():
        raise ModelFileMissing(
            f"{folder} has no config.json", expected="the file that describes the weights beside them"
        )
    config = read_json(folder / "config.json")
    single = folder / "model.safetensors"
    index = folder / "model.safetensors.index.json"
    if not single.is_file() and index.is_file():
        weight_map = _weight_map(index)
        return _open_files(folder, config, [folder / name for name in sorted(set(weight_map.values()))], weight_map)
    if not single.is_file():
        found = sorted(folder.glob("*.safetensors"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found[:5])
            raise ModelFileMissing(
                f"{folder} has {len(found)} safetensors files{f' ({names})' if names else ''} and no index of them",
                expected="model.safetensors, or shards with model.safetensors.index.json",
            )
        single = found[0]
    return _open_files(folder, config, [single], None)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of bounded size. Raises ModelFileMissing or CorruptModelFile."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise ModelFileMissing(f"{path} can't be read: {error.strerror}") from error
    if len(text) > MAX_JSON_BYTES:
        raise CorruptModelFile(f"{path} is longer than {MAX_JSON_BYTES} bytes", hint=DAMAGED_HINT)
    try:
        value = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CorruptModelFile(f"{path} is not valid JSON: {error}", hint=DAMAGED_HINT) from error
    if not isinstance(value, dict):
        raise CorruptModelFile(f"{path} holds a {type(value).__name__}", expected="a JSON object", hint=DAMAGED_HINT)
    return value


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptModelFile(f"{index} has no weight_map", expected="a file name for every tensor", hint=DAMAGED_HINT)
    for name, file in weight_map.items():
        # a bare name: nothing that climbs out of the folder. What the name links to is the owner's choice (the
        # Hugging Face cache links every file into a store beside the folder).
        if not isinstance(file, str) or not file.endswith(".safetensors") or any(bad in file for bad in "/\\:\0"):
            raise CorruptModelFile(
                f"{index} puts tensor {name!r} into {file!r}",
                expected="the bare name of a .safetensors file in the same folder",
                hint="do not use this model: its index points outside its folder",
            )
    return weight_map


def _open_files(
    path: Path, config: Mapping[str, Any], paths: list[Path], weight_map: Mapping[str, str] | None
) -> Safetensors:
    missing = [file.name for file in paths if weight_map is not None and not file.is_file()]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ModelFileMissing(
            f"{len(missing)} of the {len(paths)} shards in {path} are missing: {', '.join(missing[:5])}{more}",
            expected="every file that model.safetensors.index.json names",
        )
    files: list[MappedFile] = []
    placed: dict[str, _Placed] = {}
    try:
        for file_path in paths:
            files.append(MappedFile(file_path))
            for name, tensor in _read_header(files[-1]).items():
                if weight_map is None or weight_map.get(name) == file_path.name:
                    placed[name] = tensor
        for name in weight_map or ():
            if name not in placed:
                raise CorruptModelFile(
                    f"{path}: tensor {name!r} is not in {weight_map[name] if weight_map else path}",
                    expected="every tensor where the index says",
                    hint=DAMAGED_HINT,
                )
        return Safetensors(path, config, files, placed)
    except BaseException:
        for file in files:
            file.close()
        raise


def _corrupt(file: MappedFile, what: str, expected: str | None = None) -> NoReturn:
    raise CorruptModelFile(f"{file.path} is damaged: {what}", expected=expected, hint=DAMAGED_HINT)


def _read_header(file: MappedFile) -> dict[str, _Placed]:
    if file.size < 8:
        _corrupt(file, f"it has {file.size} bytes", "at least 8, the length of the header")
    (length,) = struct.unpack_from("<Q", file.data)
    if length > min(MAX_HEADER_BYTES, file.size - 8):
        start = file.data[:24]
        if start[:4] == b"GGUF":
            _corrupt(file, "it is a GGUF file", "a name that ends in .gguf")
        _corrupt(
            file,
            f"its header should have {length} bytes, but only {file.size - 8} follow",
            f"a header of at most {MAX_HEADER_BYTES} bytes inside the file",
        )
    table = _parse_header(file, file.data[8 : 8 + length])
    data_start = 8 + length
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _corrupt(file, "__metadata__ is no table of texts")
    described = [_read_tensor(file, name, entry) for name, entry in table.items()]
    reached = 0
    for info, begin, end in sorted(described, key=lambda item: item[1:]):
        if begin != reached:
            _corrupt(file, f"tensor {info.name!r} starts at {begin}", f"{reached}, right after the one before it")
        reached = end
    present = file.size - data_start
    if reached > present:
        raise CorruptModelFile(
            f"{file.path} is truncated or lies: its tensors take {reached} bytes, {present} are there: "
            f"{reached - present} bytes are missing",
            hint=DAMAGED_HINT,
        )
    if reached < present:
        _corrupt(file, f"{present - reached} bytes follow that belong to no tensor")
    return {info.name: _Placed(info, file, data_start + begin) for info, begin, _ in described}


def _parse_header(file: MappedFile, text: bytes) -> dict[str, Any]:
    if text[:1] != b"{":
        _corrupt(file, "its header is no JSON object")
    try:
        table = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_natural,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        _corrupt(file, f"its header is not valid JSON: {error}")
    return table  # type: ignore[no-any-return]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name comes twice")
    for name, value in pairs:
        for text in (name, value):
            if isinstance(text, str):
                text.encode("utf-8")  # half a surrogate pair is no text (UnicodeEncodeError is a ValueError)
    return table


def _natural(digits: str) -> int:
    if digits.startswith("-"):
        raise ValueError(f"{digits[:40]} is negative")
    return int(digits)


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"{literal[:40]} is no whole number")


def _read_tensor(file: MappedFile, name: str, entry: object) -> tuple[TensorInfo, int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        _corrupt(file, f"the entry of tensor {name!r} is incomplete", "dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str):
        _corrupt(file, f"the dtype of tensor {name!r} is no text")
    # Offsets are places in a file, not sides of a tensor: their product means nothing, and is large in a large file.
    if not _is_counts(shape) or not _fits(shape) or not _is_counts(offsets) or len(offsets) != 2:
        _corrupt(file, f"shape or data_offsets of tensor {name!r} are no whole numbers in range")
    if dtype not in SAFETENSORS_TYPES:
        raise UnsupportedFormat(
            f"tensor {name!r} of {file.path} has the dtype {dtype!r}",
            expected="one of " + ", ".join(sorted(SAFETENSORS_TYPES)),
        )
    nbytes = prod(shape) * STORAGE[dtype].block_bytes
    begin, end = offsets
    if end - begin != nbytes:
        _corrupt(file, f"tensor {name!r} of shape {shape} ({dtype}) takes {end - begin} bytes", f"{nbytes} bytes")
    return TensorInfo(name, tuple(shape), dtype, nbytes), begin, end


def _is_counts(values: object) -> TypeGuard[list[int]]:
    """Whether this is a short list of whole numbers, none of them absurd."""
    if not isinstance(values, list) or len(values) > 64:
        return False
    return all(type(value) is int and value < _MAX_COUNT for value in values)


def _fits(shape: list[int]) -> bool:
    """Whether the product, zeros aside, is still a 64-bit number of bytes."""
    return prod(side or 1 for side in shape) < _MAX_COUNT // 8
