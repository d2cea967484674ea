"""What tokens cost at an endpoint. Nobody's prices are written here: they change, and the user knows their own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from limpide.core.errors import InvalidDataset

MAX_BYTES = 1 << 20
_FIELDS = ("input", "cached", "output")
_EXAMPLE = '[models."some-model"] with input, output and perhaps cached, in the currency per million tokens'


@dataclass(frozen=True, slots=True)
class Price:
    """Of a million tokens each. Thinking costs what an answer costs."""

    input: float
    cached: float
    """Prompt tokens that the endpoint had in its cache."""
    output: float

    def of(self, *, prompt: int, cached: int, generated: int) -> float:
        """What one answer costs."""
        return (self.input * (prompt - cached) + self.cached * cached + self.output * generated) / 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    """A user's price list."""

    currency: str
    models: Mapping[str, Price]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file. Raises InvalidDataset, which says where and what is wrong.

        currency = "EUR"

        [models."some-model"]
        input = 1.25
        cached = 0.125
        output = 10.0
        """
        try:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InvalidDataset(f"{path} can't be read: {error.strerror}", expected="a TOML file of prices") from None
        if len(text) > MAX_BYTES:
            raise InvalidDataset(f"{path} is too large for a list of prices", expected=f"at most {MAX_BYTES} bytes")
        try:
            told = tomllib.loads(text.decode())
        except ValueError as error:  # what is no TOML, and what is no UTF-8
            raise InvalidDataset(f"{path} is no TOML: {error}", expected=_EXAMPLE) from None
        if unknown := told.keys() - {"currency", "models"}:
            raise InvalidDataset(f"{path} has {', '.join(sorted(unknown))}", expected=f"currency, and {_EXAMPLE}")
        currency, models = told.get("currency", ""), told.get("models", {})
        if not isinstance(currency, str) or not isinstance(models, dict):
            raise InvalidDataset(
                f"{path} has a currency that is no text, or models that are no table", expected=_EXAMPLE
            )
        return cls(currency, {name: _price(path, name, told) for name, told in models.items()})


def _price(path: Path, name: str, told: Any) -> Price:
    where = f'{path}, models."{name}"'
    if not isinstance(told, dict):
        raise InvalidDataset(f"{where} is {told!r}", expected=_EXAMPLE)
    for field, value in told.items():
        if field not in _FIELDS:
            raise InvalidDataset(f"{where} has {field}", expected=", ".join(_FIELDS))
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InvalidDataset(f"{where}: {field} is {value!r}", expected="a number from 0, per million tokens")
    for field in ("input", "output"):
        if field not in told:
            raise InvalidDataset(f"{where} has no {field}", expected=_EXAMPLE)
    return Price(
        float(told["input"]), float(told["cached"] if "cached" in told else told["input"]), float(told["output"])
    )
