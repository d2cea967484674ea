"""How a config.json says that its weights were quantised, before anybody looks at the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpide.core.errors import UnsupportedFormat

QUANTIZATION = "quantization_config"
_OLD_KEY = "compression_config"
"""What compressed-tensors wrote at first."""
READABLE_METHODS = ("awq", "fp8", "gptq", "mxfp4")


def quant_method(config: Mapping[str, Any]) -> str | None:
    """One of READABLE_METHODS, or None if the weights are as they are.

    Raises UnsupportedFormat for any other method, and for none where there should be one.
    """
    if config.get(_OLD_KEY) is not None:
        raise _unreadable("compressed-tensors")
    settings = config.get(QUANTIZATION)
    if settings is None:
        return None
    method = settings.get("quant_method") if isinstance(settings, Mapping) else settings
    if method is None and ("load_in_4bit" in settings or "load_in_8bit" in settings):
        method = "bitsandbytes"  # whose first files don't name it
    if method not in READABLE_METHODS:
        raise _unreadable("a method without a name" if method is None else str(method)[:80])
    return str(method)


def _unreadable(method: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"the weights are quantised by {method}, which we can't read",
        expected="weights as they are (BF16, F16, F32), or quantised by " + ", ".join(READABLE_METHODS),
        hint="the GGUF file of the same model (Q4_K_M, Q8_0, …), or its safetensors unquantised, in AWQ or in GPTQ",
    )
