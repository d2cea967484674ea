"""A checkpoint seen under other names: the same bytes, nothing copied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limpide.core.errors import CorruptModelFile
from limpide.formats import Checkpoint, TensorInfo


class Renamed(Checkpoint):
    """Made by `renamed`."""

    def __init__(self, checkpoint: Checkpoint, names: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self._checkpoint = checkpoint
        self._names = dict(names)
        self._config = config
        infos = {name: replace(checkpoint.tensors[theirs], name=theirs) for name, theirs in names.items()}
        self._tensors = MappingProxyType(infos)

    @property
    def path(self) -> Path:
        """See `Checkpoint.path`."""
        return self._checkpoint.path

    @property
    def kind(self) -> Literal["gguf", "safetensors"]:
        """See `Checkpoint.kind`."""
        return self._checkpoint.kind

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that goes with these names."""
        return self._config

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor by its new name; its info keeps the stored one, for messages."""
        return self._tensors

    @property
    def sha256(self) -> str:
        """Hash of all stored weights, whatever their names."""
        return self._checkpoint.sha256

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """See `Checkpoint.raw`."""
        return self._checkpoint.raw(self._names[name])

    def forget(self, name: str) -> None:
        """See `Checkpoint.forget`."""
        self._checkpoint.forget(self._names[name])

    def close(self) -> None:
        """See `Checkpoint.close`."""
        self._checkpoint.close()


def renamed(
    checkpoint: Checkpoint,
    prefixes: Iterable[tuple[str, str]],
    *,
    left_out: tuple[str, ...] = (),
    config: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Give tensors whose name begins with the first of a pair a name that begins with the second; the first pair wins.

    `left_out` are patterns (fnmatch) of stored names that are not shown at all. Raises CorruptModelFile if two tensors
    would get the same name.
    """
    names: dict[str, str] = {}
    for theirs in checkpoint.tensors:
        if any(fnmatchcase(theirs, pattern) for pattern in left_out):
            continue
        pair = next(((old, new) for old, new in prefixes if theirs.startswith(old)), ("", ""))
        name = pair[1] + theirs.removeprefix(pair[0])
        if name in names:
            raise CorruptModelFile(
                f"{checkpoint.path.name} has {names[name]} and {theirs}, which are the same tensor",
                expected="every tensor once",
            )
        names[name] = theirs
    return Renamed(checkpoint, names, checkpoint.config if config is None else config)
