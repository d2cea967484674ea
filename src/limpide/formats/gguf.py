"""GGUF: one file, or several when the model was split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limpide.core.errors import CorruptModelFile, ModelFileMissing
from limpide.formats.base import Checkpoint, TensorInfo
from limpide.formats.gguf_header import GGUFHeader, PlacedTensor, read_header
from limpide.formats.mapped import DAMAGED_HINT, MappedFile, joint_sha256

_PART_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)


class GGUF(Checkpoint):
    """An opened GGUF checkpoint."""

    def __init__(self, path: Path, parts: list[tuple[MappedFile, GGUFHeader]]) -> None:
        """Use `read_gguf`, which checks the parts."""
        self._path = path
        self._parts = [file for file, _ in parts]
        self._config = MappingProxyType(parts[0][1].config)
        self.version = parts[0][1].version
        self._placed: dict[str, tuple[MappedFile, PlacedTensor]] = {}
        for file, header in parts:
            for name, tensor in header.tensors.items():
                if name in self._placed:
                    raise CorruptModelFile(
                        f"tensor {name!r} is in {self._placed[name][0].path.name} and in {file.path.name}",
                        expected="every tensor in one part only",
                        hint=DAMAGED_HINT,
                    )
                self._placed[name] = (file, tensor)
        self._tensors = MappingProxyType({name: tensor.info for name, (_, tensor) in self._placed.items()})

    @property
    def path(self) -> Path:
        """The file that was opened; of a split model, any of its parts."""
        return self._path

    @property
    def kind(self) -> Literal["gguf"]:
        """Always "gguf"."""
        return "gguf"

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the model, in order."""
        return tuple(part.path for part in self._parts)

    @property
    def config(self) -> Mapping[str, Any]:
        """Key/values of the (first) file."""
        return self._config

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor by name."""
        return self._tensors

    @property
    def sha256(self) -> str:
        """See `Checkpoint.sha256`."""
        return joint_sha256(self._parts)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """See `Checkpoint.raw`."""
        file, tensor = self._placed[name]
        return file.view(tensor.start, tensor.info.nbytes)

    def forget(self, name: str) -> None:
        """See `Checkpoint.forget`."""
        file, tensor = self._placed[name]
        file.forget(tensor.start, tensor.info.nbytes)

    def close(self) -> None:
        """See `Checkpoint.close`."""
        for part in self._parts:
            part.close()


def read_gguf(path: Path) -> GGUF:
    """Open a GGUF file; of a split model (`…-00001-of-00003.gguf`), any part opens the whole.

    Raises ModelFileMissing, CorruptModelFile or UnsupportedFormat; reads only headers.
    """
    opened: list[MappedFile] = []
    try:
        file, header = _open(path, opened)
        count = header.config.get("split.count", 1)
        if not isinstance(count, int) or isinstance(count, bool) or count <= 1:
            return GGUF(path, [(file, header)])
        parts = [(file, header) if part == path else _open(part, opened) for part in _part_paths(path, count)]
        _check_parts(path, [header for _, header in parts])
        return GGUF(path, parts)
    except BaseException:
        for file in opened:
            file.close()
        raise


def is_later_part(name: str) -> bool:
    """Whether a file name is that of the second or a later part of a split model."""
    match = _PART_NAME.fullmatch(name)
    return match is not None and int(match["number"]) > 1


def _open(path: Path, opened: list[MappedFile]) -> tuple[MappedFile, GGUFHeader]:
    file = MappedFile(path)
    opened.append(file)
    return file, read_header(file)


def _part_paths(path: Path, count: int) -> list[Path]:
    match = _PART_NAME.fullmatch(path.name)
    if match is None or int(match["count"]) != count:
        raise ModelFileMissing(
            f"{path} says it is one of {count} parts, but its name does not tell where the others are",
            expected=f"a name that ends in -00001-of-{count:05d}.gguf, the other parts beside it",
        )
    names = [f"{match['stem']}-{number:05d}-of-{count:05d}{path.suffix}" for number in range(1, count + 1)]
    present = {entry.name for entry in path.parent.iterdir()}  # one look, however many parts are claimed
    missing = [name for name in names if name not in present]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ModelFileMissing(
            f"{len(missing)} of the {count} parts of {path} are missing: {', '.join(missing[:5])}{more}",
            expected="all parts in one folder",
        )
    return [path.parent / name for name in names]


def _check_parts(path: Path, headers: list[GGUFHeader]) -> None:
    def corrupt(what: str, expected: str) -> None:
        raise CorruptModelFile(
            f"the parts of {path} do not belong together: {what}", expected=expected, hint=DAMAGED_HINT
        )

    for number, header in enumerate(headers):
        told = (header.config.get("split.no"), header.config.get("split.count"))
        if told != (number, len(headers)):
            corrupt(f"part {number + 1} says it is number {told[0]!r} of {told[1]!r}", f"{number} of {len(headers)}")
    total = headers[0].config.get("split.tensors.count")
    found = sum(len(header.tensors) for header in headers)
    if total is not None and total != found:
        corrupt(f"they hold {found} tensors", f"{total!r}, as the first part says")
