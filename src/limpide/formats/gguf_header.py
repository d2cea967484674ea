"""The header of a GGUF file: key/values and the table of tensors.

Source: the GGUF specification in ggml's `docs/gguf.md`, versions 2 and 3, little endian. The file is a stranger's:
every count, length and offset is held against the size of the file before anything is allocated for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn

import numpy as np

from limpide.core.errors import CorruptModelFile, UnsupportedFormat
from limpide.formats.base import TensorInfo
from limpide.formats.mapped import DAMAGED_HINT, MappedFile
from limpide.formats.storage import GGUF_TYPES, STORAGE

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
MAX_HEADER_BYTES = 256 << 20
"""Real headers, mostly vocabulary, take some ten megabytes."""
MAX_OBJECTS = 4_000_000
"""Strings and nested arrays in one header; the largest vocabularies with merges need under a million."""
MAX_PAIRS = 1 << 16
MAX_TENSORS = 1 << 17
MAX_KEY_BYTES = 65_535
MAX_NAME_BYTES = 255
MAX_DIMENSIONS = 4
MAX_NESTING = 4

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

_SCALARS: dict[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: _U32,
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    10: _U64,
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_BOOL, _STRING, _ARRAY = 7, 8, 9


@dataclass(frozen=True, slots=True)
class PlacedTensor:
    """A tensor and where it starts in its file, in bytes."""

    info: TensorInfo
    start: int


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """Everything a GGUF file says before its weights; each tensor lies inside the file and on no other."""

    version: int
    alignment: int
    config: dict[str, Any]
    tensors: dict[str, PlacedTensor]


def read_header(file: MappedFile) -> GGUFHeader:
    """Read and check the header. Raises CorruptModelFile or UnsupportedFormat."""
    version = _check_start(file)
    values = _Values(file)
    num_tensors = values.u64("the number of tensors")
    num_pairs = values.u64("the number of key/values")
    # a tensor takes at least 8 (name) + 4 + 4 + 8 bytes, a key/value 8 + 4 + 1
    values.check_room(num_tensors * 24 + num_pairs * 13, f"a table of {num_tensors} tensors and {num_pairs} key/values")
    if num_tensors > MAX_TENSORS or num_pairs > MAX_PAIRS:
        values.corrupt(
            f"it has {num_tensors} tensors and {num_pairs} key/values",
            expected=f"at most {MAX_TENSORS} and {MAX_PAIRS}",
        )
    config = _read_config(values, num_pairs)
    alignment = _alignment(file, config, values.alignment_type)
    described = [_read_tensor(values) for _ in range(num_tensors)]
    data_start = -(-values.at // alignment) * alignment
    return GGUFHeader(version, alignment, config, _place(file, described, data_start, alignment))


def _check_start(file: MappedFile) -> int:
    start = file.data[:64]
    if start[:4] != MAGIC:
        raise CorruptModelFile(
            f"{file.path} is no GGUF file: {_looks_like(start)}",
            expected='a file that begins with the four letters "GGUF"',
            hint=DAMAGED_HINT,
        )
    if file.size < 24:
        raise CorruptModelFile(
            f"{file.path} is truncated: it has {file.size} bytes, at least {24 - file.size} are missing",
            hint=DAMAGED_HINT,
        )
    (version,) = _U32.unpack_from(start, 4)
    if version in {2, 3}:
        return int(version)
    if version & 0xFFFF == 0 and version:
        raise UnsupportedFormat(
            f"{file.path} is a big-endian GGUF file",
            expected="a little-endian file, as nearly all are",
            hint="fetch the little-endian file, or convert this one with gguf-py's gguf_convert_endian",
        )
    raise UnsupportedFormat(
        f"{file.path} has GGUF version {version}",
        expected="version 2 or 3",
        hint="convert the model again with a current converter",
    )


def _looks_like(start: bytes) -> str:
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the weights it points to (run `git lfs pull`)"
    if start.lstrip()[:1] == b"<":
        return "it looks like a web page"
    if start.startswith(b"PK\x03\x04"):
        return "it looks like a zip archive"
    if start[:4] == MAGIC[::-1]:
        return "its letters are reversed (big endian?)"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f"it looks like text ({start[:24].decode('ascii')!r}…)"
    return f"it begins with the bytes {start[:4].hex(' ')}"


class _Values:
    """Reads one value after the other; refuses to run past the end of the file."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.data = file.data
        self.at = 8
        self.end = min(file.size, MAX_HEADER_BYTES)
        self.objects_left = MAX_OBJECTS
        self.alignment_type: int | None = None

    def corrupt(self, what: str, *, expected: str | None = None) -> NoReturn:
        raise CorruptModelFile(f"{self.file.path} is damaged: {what}", expected=expected, hint=DAMAGED_HINT)

    def check_room(self, nbytes: int, what: str) -> None:
        """Refuse if the file ends before `nbytes` more have come."""
        if nbytes <= self.end - self.at:
            return
        missing = self.at + nbytes - self.file.size
        if missing <= 0:
            self.corrupt(f"its header is longer than {MAX_HEADER_BYTES} bytes ({what})")
        raise CorruptModelFile(
            f"{self.file.path} is truncated or lies: at byte {self.at} comes {what} with at least {nbytes} bytes, "
            f"but the file ends at byte {self.file.size}: {missing} bytes are missing",
            hint=DAMAGED_HINT,
        )

    def count_objects(self, number: int, what: str) -> None:
        self.objects_left -= number
        if self.objects_left < 0:
            self.corrupt(f"its header holds more than {MAX_OBJECTS} strings or nested arrays ({what})")

    def u32(self, what: str) -> int:
        self.check_room(4, what)
        (value,) = _U32.unpack_from(self.data, self.at)
        self.at += 4
        return int(value)

    def u64(self, what: str) -> int:
        self.check_room(8, what)
        (value,) = _U64.unpack_from(self.data, self.at)
        self.at += 8
        return int(value)

    def string(self, what: str, limit: int = MAX_HEADER_BYTES) -> str:
        length = self.u64(what)
        self.check_room(length, what)
        if length > limit:
            self.corrupt(f"{what} is {length} bytes long", expected=f"at most {limit}")
        start, self.at = self.at, self.at + length
        try:
            return self.data[start : self.at].decode("utf-8")
        except UnicodeDecodeError:
            self.corrupt(f"{what} at byte {start} is not valid UTF-8")

    def value(self, kind: int, key: str, depth: int = 0) -> Any:
        if kind == _STRING:
            self.count_objects(1, key)
            return self.string(f"the value of {key!r}")
        if kind == _ARRAY:
            return self.array(key, depth + 1)
        if kind == _BOOL:
            self.check_room(1, key)
            byte = self.data[self.at]
            if byte > 1:
                self.corrupt(f"the truth value of {key!r} is {byte}", expected="0 or 1")
            self.at += 1
            return bool(byte)
        scalar = self.scalar_struct(kind, key)
        self.check_room(scalar.size, f"the value of {key!r}")
        (value,) = scalar.unpack_from(self.data, self.at)
        self.at += scalar.size
        return value

    def scalar_struct(self, kind: int, key: str) -> struct.Struct:
        if kind not in _SCALARS:
            self.corrupt(f"the value of {key!r} has the unknown type {kind}", expected="a type from 0 to 12")
        return _SCALARS[kind]

    def array(self, key: str, depth: int) -> Any:
        kind = self.u32(f"the type of {key!r}")
        length = self.u64(f"the length of {key!r}")
        if kind == _STRING:
            return self.strings(key, length)
        if kind == _ARRAY:
            if depth >= MAX_NESTING:
                self.corrupt(f"{key!r} nests arrays more than {MAX_NESTING} deep")
            self.check_room(length * 12, f"{key!r}, {length} arrays,")
            self.count_objects(length, key)
            return [self.array(key, depth + 1) for _ in range(length)]
        return self.numbers(kind, key, length)

    def numbers(self, kind: int, key: str, length: int) -> Any:
        dtype = np.dtype("<u1" if kind == _BOOL else "<" + _numpy_code(self.scalar_struct(kind, key)))
        nbytes = length * dtype.itemsize
        self.check_room(nbytes, f"{key!r}, {length} numbers,")
        # copied, so that it is aligned and does not keep the file open
        values = np.frombuffer(self.data[self.at : self.at + nbytes], dtype=dtype).astype(dtype.newbyteorder("="))
        if kind == _BOOL:
            if length and values.max() > 1:
                self.corrupt(f"a truth value of {key!r} is neither 0 nor 1")
            values = values.astype(np.bool_)
        self.at += nbytes
        values.flags.writeable = False
        return values

    def strings(self, key: str, length: int) -> list[str]:
        self.check_room(length * 8, f"{key!r}, {length} strings,")
        self.count_objects(length, key)
        # the hot loop of opening a model: hundreds of thousands of tokens, so everything is a local
        data, at, end, unpack = self.data, self.at, self.end, _U64.unpack_from
        values: list[bytes] = []
        append = values.append
        last = end - 8
        for _ in range(length):
            if at > last:
                break
            start = at + 8
            at = start + unpack(data, at)[0]
            if at > end:
                break
            append(data[start:at])
        if len(values) < length:
            self.at = min(at, end)
            self.check_room(max(at - self.at, 0) + 8, f"string {len(values)} of {key!r}")
            self.corrupt(f"string {len(values)} of {key!r} runs past the end of the file")
        self.at = at
        try:
            return [value.decode("utf-8") for value in values]
        except UnicodeDecodeError:
            self.corrupt(f"a string of {key!r} is not valid UTF-8")


def _numpy_code(scalar: struct.Struct) -> str:
    return {
        "B": "u1",
        "b": "i1",
        "H": "u2",
        "h": "i2",
        "I": "u4",
        "i": "i4",
        "f": "f4",
        "Q": "u8",
        "q": "i8",
        "d": "f8",
    }[scalar.format[1:]]


def _read_config(values: _Values, num_pairs: int) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for number in range(num_pairs):
        key = values.string(f"key {number}", MAX_KEY_BYTES)
        if not key or key in config:
            values.corrupt(f"the key {key!r} comes twice" if key else f"key {number} is empty")
        kind = values.u32(f"the type of {key!r}")
        if key == "general.alignment":
            values.alignment_type = kind
        values.count_objects(1, key)
        config[key] = values.value(kind, key)
    return config


def _alignment(file: MappedFile, config: dict[str, Any], kind: int | None) -> int:
    if kind is None:
        return DEFAULT_ALIGNMENT
    alignment = config["general.alignment"]
    if kind == 4 and alignment and alignment & (alignment - 1) == 0:
        return int(alignment)
    raise CorruptModelFile(
        f"{file.path} is damaged: general.alignment is {alignment!r} (type {kind})",
        expected="a power of two, stored as a 32-bit number",
        hint=DAMAGED_HINT,
    )


def _read_tensor(values: _Values) -> tuple[TensorInfo, int]:
    values.count_objects(1, "the table of tensors")
    name = values.string("a tensor's name", MAX_NAME_BYTES)
    num_dimensions = values.u32(f"the dimensions of {name!r}")
    if not name or num_dimensions > MAX_DIMENSIONS:
        values.corrupt(
            f"tensor {name!r} has {num_dimensions} dimensions", expected=f"at most {MAX_DIMENSIONS} and a name"
        )
    dimensions = [values.u64(f"the shape of {name!r}") for _ in range(num_dimensions)]
    kind = values.u32(f"the type of {name!r}")
    offset = values.u64(f"the offset of {name!r}")
    if kind not in GGUF_TYPES:
        raise UnsupportedFormat(
            f"tensor {name!r} of {values.file.path} has the unknown type {kind}",
            expected="one of " + ", ".join(f"{number} ({known})" for number, known in GGUF_TYPES.items()),
            hint="use a file in another quantization, for example Q4_K_M or Q8_0",
        )
    storage = STORAGE[GGUF_TYPES[kind]]
    row = dimensions[0] if dimensions else 1
    count = prod(dimensions)
    if count == 0:
        values.corrupt(f"tensor {name!r} with shape {dimensions} holds nothing")
    if row % storage.block_size:
        values.corrupt(
            f"tensor {name!r} has rows of {row} numbers, stored as {GGUF_TYPES[kind]}",
            expected=f"a multiple of {storage.block_size}",
        )
    nbytes = count // storage.block_size * storage.block_bytes
    return TensorInfo(name, tuple(reversed(dimensions)), GGUF_TYPES[kind], nbytes), offset


def _place(
    file: MappedFile, described: list[tuple[TensorInfo, int]], data_start: int, alignment: int
) -> dict[str, PlacedTensor]:
    def corrupt(what: str) -> NoReturn:
        raise CorruptModelFile(f"{file.path} is damaged: {what}", hint=DAMAGED_HINT)

    tensors: dict[str, PlacedTensor] = {}
    end = 0
    for info, offset in described:
        if info.name in tensors:
            corrupt(f"there are two tensors named {info.name!r}")
        if offset % alignment:
            corrupt(f"tensor {info.name!r} starts at {offset}, which is no multiple of the alignment {alignment}")
        tensors[info.name] = PlacedTensor(info, data_start + offset)
        end = max(end, data_start + offset + info.nbytes)
    if end > file.size:
        raise CorruptModelFile(
            f"{file.path} is truncated or lies: its tensors reach to byte {end}, "
            f"but the file ends at byte {file.size}: {end - file.size} bytes are missing",
            hint=DAMAGED_HINT,
        )
    reached, before = 0, ""
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].start):
        if tensor.start < reached:
            corrupt(f"tensors {before!r} and {name!r} overlap")
        reached, before = tensor.start + tensor.info.nbytes, name
    return tensors
