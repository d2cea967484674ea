"""Small checkpoints, honest and lying."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest


class GGUFMaker:
    """Writes a GGUF file byte by byte, so that any of its statements can be a lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def text(value: str | bytes) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        return struct.pack("<Q", len(data)) + data

    def pair(self, key: str | bytes, kind: int, value: bytes) -> bytes:
        return self.text(key) + struct.pack("<I", kind) + value

    def tensor(
        self, name: str, dims: Sequence[int], kind: int = 0, offset: int = 0, *, num_dims: int | None = None
    ) -> bytes:
        count = len(dims) if num_dims is None else num_dims
        return self.text(name) + struct.pack(f"<I{len(dims)}QIQ", count, *dims, kind, offset)

    def __call__(
        self,
        pairs: Sequence[bytes] = (),
        tensors: Sequence[bytes] = (),
        data: bytes = b"",
        *,
        version: int = 3,
        num_pairs: int | None = None,
        num_tensors: int | None = None,
        name: str = "built.gguf",
        alignment: int = 32,
    ) -> Path:
        head = b"GGUF" + struct.pack(
            "<IQQ",
            version,
            len(tensors) if num_tensors is None else num_tensors,
            len(pairs) if num_pairs is None else num_pairs,
        )
        head += b"".join(pairs) + b"".join(tensors)
        padding = b"\0" * (-len(head) % alignment) if data else b""
        path = self.folder / name
        path.write_bytes(head + padding + data)
        return path


@pytest.fixture
def make(tmp_path: Path) -> GGUFMaker:
    return GGUFMaker(tmp_path)


def write_honest_gguf(path: Path) -> Path:
    """Every kind of value, and tensors of several formats, by gguf-py."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint8("t.u8", 200)
    writer.add_int8("t.i8", -100)
    writer.add_uint16("t.u16", 60000)
    writer.add_int16("t.i16", -30000)
    writer.add_uint32("t.u32", 4_000_000_000)
    writer.add_int32("t.i32", -2_000_000_000)
    writer.add_uint64("t.u64", 2**63 + 1)
    writer.add_int64("t.i64", -(2**62))
    writer.add_float32("t.f32", 0.1)
    writer.add_float64("t.f64", 0.1)
    writer.add_bool("t.yes", True)
    writer.add_bool("t.no", False)
    writer.add_string("t.text", "déjà vu 𝄞")
    writer.add_string("t.empty", "")
    writer.add_array("t.strings", ["", "a", "été", "日本"])
    writer.add_array("t.ints", [1, -2, 3])
    writer.add_array("t.floats", [0.5, -1.25])
    writer.add_array("t.bools", [True, False, True])
    rng = np.random.default_rng(0)
    writer.add_tensor("matrix", rng.normal(size=(3, 32)).astype(np.float32))
    writer.add_tensor("vector", rng.normal(size=7).astype(np.float16))
    writer.add_tensor("experts", rng.normal(size=(2, 3, 4)).astype(np.float32))
    blocks = gguf.quants.quantize(rng.normal(size=(4, 64)).astype(np.float32), gguf.GGMLQuantizationType.Q4_1)
    writer.add_tensor("blocks", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def honest_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_honest_gguf(tmp_path_factory.mktemp("honest") / "honest.gguf")
