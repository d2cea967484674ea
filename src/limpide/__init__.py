"""Limpide: own an open-weight reasoning model instead of renting a closed one.

`from limpide import Model` is all that most programs need; it is loaded on first use, so that importing the package
costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from limpide.core.errors import LimpideError
    from limpide.core.ports import Answer
    from limpide.core.sampling import Sampling
    from limpide.core.thinking import Thinking
    from limpide.model import Model

_HOMES = {
    "Answer": "limpide.core.ports",
    "LimpideError": "limpide.core.errors",
    "Model": "limpide.model",
    "Sampling": "limpide.core.sampling",
    "Thinking": "limpide.core.thinking",
}

__all__ = ["Answer", "LimpideError", "Model", "Sampling", "Thinking", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
