"""What every checkpoint looks like, however it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a file says of one tensor, already checked against the file's size."""

    name: str
    shape: tuple[int, ...]
    """In torch's order, a matrix is (out, in). GGUF's dimensions are reversed for that."""
    format: str
    """How the numbers are stored: a name of `formats.storage`, for example "F32", "Q4_1", "I32"."""
    nbytes: int


class Checkpoint(Protocol):
    """Weights and their description, checked and memory-mapped. A context manager."""

    @property
    def path(self) -> Path:
        """The file or the folder that was opened."""

    @property
    def kind(self) -> Literal["gguf", "safetensors"]:
        """The container."""

    @property
    def config(self) -> Mapping[str, Any]:
        """GGUF key/values (numeric arrays as read-only NumPy arrays, string arrays as lists), or config.json."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every tensor by its name in the file."""

    @property
    def sha256(self) -> str:
        """Hash of the weights, in hexadecimal; reads every byte, once.

        Of one file: the file's sha256. Of several: the sha256 of their `sha256sum` lines, in order.
        """

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """Bytes of one tensor as stored, 1-D, exactly `nbytes`, mapped and not read. KeyError if there is none.

        The array may be written to; that never reaches the file (copy on write).
        """

    def forget(self, name: str) -> None:
        """Give back the memory that reading a tensor took, where its pages are its own. Arrays of it stay valid: they
        are read again from the file, and what was written to them is lost. KeyError if there is none.
        """

    def close(self) -> None:
        """Let go of the files. Arrays already handed out stay valid. Safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
