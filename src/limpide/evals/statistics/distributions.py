"""Quantiles and tail areas, from SciPy: imported late, so that only those wait for it who need it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limpide.core.errors import InvalidParameter

Array = NDArray[np.float64]


def scipy_part(name: str) -> Any:
    """The module `scipy.<name>`. Raises InvalidParameter, with the way to install it, where SciPy is missing."""
    try:
        return import_module(f"scipy.{name}")
    except ImportError:
        raise InvalidParameter(
            "statistics", "computed", "SciPy, which is not installed", hint="pip install scipy"
        ) from None


def normal_quantile(probability: float) -> float:
    """The value below which a standard normal variable lies with this probability."""
    return float(scipy_part("special").ndtri(probability))


def normal_cdf(value: Array) -> Array:
    """Probability that a standard normal variable lies below the value."""
    return np.asarray(scipy_part("special").ndtr(value), dtype=np.float64)


def t_quantile(probability: float, df: Array) -> Array:
    """Student's t with `df` degrees of freedom, which need not be whole; the normal's where they are infinite."""
    return np.asarray(scipy_part("special").stdtrit(df, probability), dtype=np.float64)


def t_two_sided(statistic: Array, df: Array) -> Array:
    """Two-sided p-value of a t statistic."""
    return np.asarray(2 * scipy_part("special").stdtr(df, -np.abs(statistic)), dtype=np.float64)


def checked_level(parameter: str, value: float) -> float:
    """A confidence or an error rate, strictly between 0 and 1. Raises InvalidParameter."""
    if not 0 < value < 1:
        raise InvalidParameter(parameter, value, "a number between 0 and 1, both excluded")
    return value
