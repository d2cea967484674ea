"""A checkpoint's tensors as a model asks for them: those that are stored in several parts appear as one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from limpide.core.errors import CorruptModelFile
from limpide.formats import Checkpoint, TensorInfo
from limpide.quant import PartedFormat, PartedMatrix, QuantTensor, StoredMatrix
from limpide.quant.parted import Infos

_SHOWN = 5
"""Most names that a message lists."""


class StoredTensors:
    """The tensors of one checkpoint, by name. Nothing is read before it is asked for."""

    def __init__(self, checkpoint: Checkpoint, stored: PartedFormat | None) -> None:
        """`stored` is how this checkpoint spreads a matrix over tensors. Raises CorruptModelFile if a part is missing
        or doesn't fit the others.
        """
        self._checkpoint = checkpoint
        self._stored = stored
        self._parts = {} if stored is None else _gather(checkpoint.tensors, stored)
        taken = {info.name for infos in self._parts.values() for info in infos.values()}
        taken |= _unused(self._parts, stored)
        tensors = {name: info for name, info in checkpoint.tensors.items() if name not in taken}
        for name, infos in self._parts.items():
            if stored is not None:
                nbytes = sum(info.nbytes for info in infos.values())
                tensors[name] = TensorInfo(name, stored.shape(infos), stored.name, nbytes)
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(tensors)

    def is_padding(self, name: str) -> bool:
        """Whether this tensor holds nothing but the zeros that its format's programs add to what they store."""
        if self._stored is None:
            return False
        stems = [name.removesuffix(suffix) for suffix in self._stored.padded if name.endswith(suffix)]
        beside = any(stem + self._stored.whole in self._parts for stem in stems)
        return beside and not self._checkpoint.raw(name).any()

    def matrix(self, name: str) -> StoredMatrix:
        """A tensor as a matrix of rows, mapped and not copied. KeyError if there is none; UnsupportedFormat."""
        infos = self._parts.get(name)
        if infos is None or self._stored is None:
            return QuantTensor.from_raw(self.tensors[name], self._checkpoint.raw(name))
        raw = {part: torch.from_numpy(self._checkpoint.raw(info.name)) for part, info in infos.items()}
        return PartedMatrix.from_raw(self._stored, infos, raw)

    def forget(self, name: str) -> None:
        """Give back the memory that reading a tensor took: for one that was copied. KeyError if there is none."""
        infos = self._parts.get(name)
        for part in [name] if infos is None else [info.name for info in infos.values()]:
            self._checkpoint.forget(part)


def _gather(tensors: Mapping[str, TensorInfo], stored: PartedFormat) -> dict[str, Infos]:
    """What each joint tensor is made of, by its name."""
    gathered: dict[str, Infos] = {}
    missing: list[str] = []
    for sign in tensors:
        if not sign.endswith(stored.sign):
            continue
        stem = sign.removesuffix(stored.sign)
        present = (*stored.required, *(part for part in stored.optional if stem + part in tensors))
        lacking = [stem + part for part in present if stem + part not in tensors]
        missing += lacking
        if not lacking:
            gathered[stem + stored.whole] = {part: tensors[stem + part] for part in present}
    if not gathered and not missing:
        raise CorruptModelFile(
            f"quantization_config says {stored.name}, but no tensor's name ends in {stored.sign}",
            expected="weights that are stored as their configuration says",
        )
    if missing:
        more = "; …" if len(missing) > _SHOWN else ""
        raise CorruptModelFile(
            f"{len(missing)} parts of {stored.name} tensors are missing: {'; '.join(missing[:_SHOWN])}{more}",
            expected=f"{', '.join(stored.required)} of every tensor",
        )
    return gathered


def _unused(gathered: Mapping[str, Infos], stored: PartedFormat | None) -> set[str]:
    if stored is None:
        return set()
    return {name.removesuffix(stored.whole) + suffix for name in gathered for suffix in stored.unused}
