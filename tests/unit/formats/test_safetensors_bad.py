"""Safetensors files that are damaged or lie; and fuzzing: what we accept, the library accepts and reads alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from limpide.core.errors import CorruptModelFile, LimpideError
from limpide.formats import open_checkpoint

SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HONEST = save(
    {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.arange(5, dtype=np.uint8),
        "c": np.array(7, dtype=np.int64),
        "d": np.zeros((2, 0), dtype=np.float16),
    },
    metadata={"format": "np"},
)
HEADER_END = 8 + int.from_bytes(HONEST[:8], "little")
DATA = HONEST[HEADER_END:]


def packed(header: bytes, data: bytes = DATA) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def one(dtype: object = "F32", shape: object = (6,), offsets: object = (0, 24)) -> bytes:
    return json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()


def opens(content: bytes, folder: Path) -> bool:
    """Whether it opened; if so, the library must open it too, with the same tensors."""
    path = folder / "fuzzed.safetensors"
    path.unlink(missing_ok=True)  # never rewrite a file that may still be mapped
    path.write_bytes(content)
    try:
        checkpoint = open_checkpoint(path)
    except LimpideError:
        return False
    with checkpoint:
        theirs = dict(safetensors.deserialize(content))
        assert set(theirs) == set(checkpoint.tensors)
        for name, info in checkpoint.tensors.items():
            assert list(info.shape) == theirs[name]["shape"]
            assert info.format == theirs[name]["dtype"]
            assert checkpoint.raw(name).tobytes() == bytes(theirs[name]["data"])
    return True


def test_the_honest_one(tmp_path: Path) -> None:
    assert opens(HONEST, tmp_path)
    assert opens(packed(one(), b"\0" * 24), tmp_path)
    assert opens(packed(b"{}   \n", b""), tmp_path)


def test_truncated_says_how_much(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(HONEST[:-3])
    with pytest.raises(CorruptModelFile, match=": 3 bytes are missing"):
        open_checkpoint(path)


def test_truncated_anywhere(tmp_path: Path) -> None:
    for length in range(len(HONEST)):
        assert not opens(HONEST[:length], tmp_path)


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**40, 2**63, 2**64 - 1])
def test_header_length_that_lies(tmp_path: Path, length: int) -> None:
    assert not opens(length.to_bytes(8, "little") + HONEST[8:], tmp_path)


def test_a_gguf_by_the_wrong_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(CorruptModelFile, match="it is a GGUF file"):
        open_checkpoint(path)


BAD_HEADERS = {
    "no object": b"[]",
    "a space first": b" {}",
    "no JSON": b'{"w"',
    "no UTF-8": b'{"\xff":1}',
    "half a surrogate pair": json.dumps({"\ud800": json.loads(one())["w"]}).encode(),
    "half a surrogate pair in the metadata": b'{"__metadata__":{"a":"\\ud800"}}',
    "nested without end": b'{"a":' * 50_000,
    "twice": one()[:-1] + b"," + one()[1:],
    "twice inside": one().replace(b'"shape"', b'"dtype":"F32","shape"'),
    "an entry of text": b'{"w":"F32"}',
    "an entry too many": one().replace(b'"shape"', b'"more":1,"shape"'),
    "no dtype": b'{"w":{"shape":[6],"data_offsets":[0,24]}}',
    "dtype a number": one(dtype=7),
    "shape a number": one(shape=6),
    "shape of text": one(shape=["6"]),
    "shape of truth": one(shape=[True, 6]),
    "shape negative": one(shape=[-6]),
    "shape minus zero": one(shape=[6]).replace(b"[0,", b"[-0,").replace(b"[0, ", b"[-0, "),
    "shape not whole": one(shape=[6.0]),
    "shape not finite": one(shape=[6]).replace(b"[6]", b"[NaN]"),
    "shape past 64 bits": one(shape=[0, 2**70], offsets=(0, 0)),
    "shape whose product passes 64 bits": one(shape=[2**40, 2**40, 0], offsets=(0, 0)),
    "shape that wraps to nothing": one(shape=[2**32, 2**32], offsets=(0, 0)),
    "a number of 5000 digits": one().replace(b"24", b"9" * 5000),
    "offsets three": one(offsets=(0, 24, 24)),
    "offsets backwards": one(offsets=(24, 0)),
    "offsets too short": one(offsets=(0, 23)),
    "a hole before": one(offsets=(4, 28)),
    "terabytes": one(shape=[2**40], offsets=(0, 2**42)),
    "metadata of numbers": b'{"__metadata__":{"a":1}}',
    "metadata a list": b'{"__metadata__":[]}',
}


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_headers(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(packed(header, bytes(28 if b"28" in header else 24)))
    with pytest.raises(CorruptModelFile):
        open_checkpoint(path)


def test_overlap_and_hole(tmp_path: Path) -> None:
    entry = {"dtype": "U8", "shape": [4]}
    for second in ([0, 4], [2, 6], [5, 9]):
        header = json.dumps({"v": entry | {"data_offsets": [0, 4]}, "w": entry | {"data_offsets": second}}).encode()
        assert not opens(packed(header, bytes(max(second))), tmp_path)


def test_bytes_that_belong_to_nobody(tmp_path: Path) -> None:
    assert not opens(HONEST + b"\0", tmp_path)


@SETTINGS
@given(edits=st.lists(st.tuples(st.integers(0, HEADER_END - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_header_bytes_changed(tmp_path: Path, edits: list[tuple[int, int]]) -> None:
    content = bytearray(HONEST)
    for at, byte in edits:
        content[at] = byte
    opens(bytes(content), tmp_path)


@SETTINGS
@given(at=st.integers(8, HEADER_END - 1), put=st.sampled_from(b'0123456789-+.eE[]{}",:\\ \n\tNaAU8'))
def test_json_characters_changed(tmp_path: Path, at: int, put: int) -> None:
    content = bytearray(HONEST)
    content[at] = put
    opens(bytes(content), tmp_path)


NUMBER = st.one_of(st.integers(-1, 40), st.sampled_from([2**31, 2**32, 2**62, 2**63, 2**64, 10**30, 0.0, 1e400, None]))
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "I64", "F16", "BOOL", "F4", "X"]),
        "shape": st.lists(NUMBER, max_size=4),
        "data_offsets": st.lists(NUMBER, min_size=1, max_size=3),
    }
)


@SETTINGS
@given(table=st.dictionaries(st.text(max_size=3), ENTRY, max_size=3), size=st.integers(0, 40))
def test_tables_at_random(tmp_path: Path, table: dict[str, Any], size: int) -> None:
    opens(packed(json.dumps(table).encode(), bytes(size)), tmp_path)


@SETTINGS
@given(st.data())
def test_tables_nearly_right(tmp_path: Path, data: st.DataObject) -> None:
    """Consistent files with any dtypes and shapes, and at most one number wrong."""
    width = {"U8": 1, "F16": 2, "BF16": 2, "F32": 4, "I64": 8, "F8_E4M3": 1}
    table, reached = {}, 0
    for name in data.draw(
        st.lists(st.text(max_size=4).filter(lambda name: name != "__metadata__"), max_size=4, unique=True)
    ):
        dtype = data.draw(st.sampled_from(sorted(width)))
        shape = data.draw(st.lists(st.integers(0, 5), max_size=3))
        end = reached + int(np.prod(shape, dtype=int)) * width[dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [reached, end]}
        reached = end
    wrong = bool(table) and data.draw(st.booleans())
    if wrong:
        entry = table[data.draw(st.sampled_from(sorted(table)))]
        entry["data_offsets"][data.draw(st.integers(0, 1))] += data.draw(st.sampled_from([-1, 1, 2**63, 2**64]))
    assert opens(packed(json.dumps(table).encode(), bytes(reached)), tmp_path) is not wrong
