"""Kernels are compiled once for this processor and kept.

Numba turns the kernels' Python into LLVM code; the machine code is written to the user's cache under a hash of all
that shaped it, so later runs load it in milliseconds and never import numba.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm


class Entry:
    """A compiled kernel. Calling it runs it on this thread, without Python's lock."""

    def __init__(self, address: int) -> None:
        self.address = address
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)

    def __call__(self, arguments: int) -> None:
        """Run with the address of the arguments."""
        self._call(arguments)


def cache_folder() -> Path:
    """Where compiled kernels are kept."""
    own = os.environ.get("LIMPIDE_CACHE")
    if own:
        return Path(own) / "kernels"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "limpide" / "kernels"


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    """Changes with the kernels' source, the compiler and the processor."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    versions = (metadata.version("numba"), metadata.version("llvmlite"))
    digest.update(repr((versions, _target(), sys.platform)).encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _jit() -> Any:
    """LLVM's linker for machine code in memory."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())


_AVX2_ONLY = "x86-64-v3"
"""What LLVM calls a processor with AVX2 and nothing newer."""


@lru_cache(maxsize=1)
def processor() -> tuple[str, dict[str, bool]]:
    """LLVM's name of the processor that kernels are compiled for, and its features.

    LIMPIDE_KERNELS=avx2 leaves out what is newer than AVX2, to see what an older machine would compute.
    """
    features: dict[str, bool] = dict(llvm.get_host_cpu_features())
    if os.environ.get("LIMPIDE_KERNELS", "").lower() != "avx2":
        return llvm.get_host_cpu_name(), features
    return _AVX2_ONLY, {name: has and not name.startswith(_NEWER) for name, has in features.items()}


_NEWER = ("avx512", "avxvnni", "avx10", "amx", "gfni", "vaes", "vpclmulqdq", "evex512")


def _target() -> tuple[str, str]:
    """The processor as LLVM wants it said."""
    name, features = processor()
    flags = [("+" if has else "-") + feature for feature, has in sorted(features.items())]
    # Where LLVM prefers short vectors it would not take the long ones that some kernels are written for.
    return name, ",".join([*flags, "-prefer-256-bit"])


def _target_machine() -> Any:
    name, features = _target()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name,
        features=features,
        opt=3,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )


def _compile(name: str, variant: tuple[str | int, ...], symbol: str) -> bytes:
    """Machine code of a kernel as an object file."""
    from numba import cfunc, config, types

    config.CPU_NAME, config.CPU_FEATURES = _target()  # type: ignore[attr-defined]
    module_name, _, builder = name.partition(".")
    build: Callable[..., Callable[[int], None]] = getattr(import_module(f"limpide.kernels.{module_name}"), builder)
    function = build(*variant)
    compiled: Any = cfunc(types.void(types.int64), error_model="numpy")(function)
    code = compiled._library.get_llvm_str().replace(compiled._wrapper_name, symbol)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(code)
    module.verify()
    _keep_only(module, symbol)
    return bytes(_target_machine().emit_object(module))


def _keep_only(module: Any, symbol: str) -> None:
    """Make the kernel the only visible symbol: kernels share names inside, and numba's error paths would need
    Python.
    """

    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name != symbol:
            value.linkage = "internal"
    passes = llvm.create_pass_builder(_target_machine(), llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(module, passes)
    undefined = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    if set(undefined) - {"memset", "memcpy"}:
        raise RuntimeError(f"kernel {symbol} calls {undefined}")


def _write(path: Path, code: bytes) -> None:
    """Keep machine code behind its checksum: whole or not at all, for another process may be writing the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(hashlib.sha256(code).digest() + code)
            file.close()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _read(path: Path) -> bytes | None:
    """Machine code that was kept, unless there is none or it is damaged."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    digest, code = kept[:32], kept[32:]
    return code if hashlib.sha256(code).digest() == digest else None


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether kernels can be compiled and loaded here. If not, torch does their work, and the log says why.

    LIMPIDE_KERNELS=off turns them off.
    """
    if os.environ.get("LIMPIDE_KERNELS", "").lower() in {"off", "0", "false"}:
        return False
    if sys.byteorder != "little" or sys.maxsize < 2**32:
        return False
    try:
        kernel("crew.play")
    except Exception as error:  # noqa: BLE001 - whatever the compiler did, the model can still be run
        logging.getLogger(__name__).warning("no kernels on this machine, torch does their work: %s", error)
        return False
    return True


@cache
def kernel(name: str, *variant: str | int) -> Entry:
    """The kernel that a builder describes, compiled for this processor.

    `name` is "module.builder" within this package; the builder makes the kernel's Python function from the variant.
    """
    symbol = "_".join(["limpide", *name.split("."), *(str(v) for v in variant)])
    path = cache_folder() / _fingerprint() / f"{symbol}.o"
    code = _read(path)
    if code is None:
        code = _compile(name, variant, symbol)
        with suppress(OSError):  # a full or read-only disk costs the next start some seconds, nothing else
            _write(path, code)
    jit = _jit()
    jit.add_object_file(llvm.ObjectFileRef.from_data(code))
    jit.finalize_object()
    return Entry(jit.get_function_address(symbol))
