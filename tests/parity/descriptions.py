"""Where two descriptions of one model differ, apart from how its file stores it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from limpide.models.spec import DivisorScaling

_STORAGE = {
    "family",  # dense models of Granite 4 are Granite to GGUF
    "joint_up",  # one matrix for keys and values, or two
    "tiled",  # in which order value heads lie
}


def differences(folder: Any, gguf: Any, where: str = "") -> Iterator[str]:
    """Paths to values that aren't the same.

    GGUF keeps numbers in single precision, Llama 3's scaling as divisors, and what LongRoPE's sines are multiplied by.
    """
    if is_dataclass(folder) and type(folder) is type(gguf):
        for field in fields(folder):
            if field.name not in _STORAGE:
                yield from differences(getattr(folder, field.name), getattr(gguf, field.name), f"{where}.{field.name}")
    elif isinstance(folder, tuple) and isinstance(gguf, tuple) and len(folder) == len(gguf):
        for index, (theirs, ours) in enumerate(zip(folder, gguf, strict=True)):
            yield from differences(theirs, ours, f"{where}[{index}]")
    elif isinstance(folder, float) and isinstance(gguf, float):
        if gguf != pytest.approx(folder, rel=1e-6):
            yield f"{where}: {folder} and {gguf}"
    elif where.endswith(".scaling") and isinstance(gguf, DivisorScaling):
        return
    elif folder != gguf and not (where.endswith(".attention_factor") and folder is None):
        yield f"{where}: {folder!r} and {gguf!r}"
