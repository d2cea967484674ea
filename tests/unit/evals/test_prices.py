"""A user's price list."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpide.core.errors import InvalidDataset
from limpide.evals.prices import Price, Prices


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "prices.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_what_answers_cost(tmp_path: Path) -> None:
    text = (
        'currency = "EUR"\n[models."org/m"]\ninput = 2\noutput = 10\ncached = 0.5\n[models.n]\ninput = 1\noutput = 0\n'
    )
    prices = Prices.read(write(tmp_path, text))
    assert prices.currency == "EUR"
    assert prices.models["org/m"].of(prompt=1_000_000, cached=500_000, generated=100_000) == 1.0 + 0.25 + 1.0
    assert prices.models["n"] == Price(1, 1, 0), "what has no price of its own in the cache costs what others cost"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("currency = ", "TOML"),
        (b"\xff", "TOML"),
        ("price = 1", "price"),
        ("currency = 1", "currency"),
        ("models = 1", "models"),
        ("[models]\nm = 1", '"m"'),
        ("[models.m]\ninput = 1", "output"),
        ("[models.m]\ninput = -1\noutput = 1", "input is -1"),
        ("[models.m]\ninput = nan\noutput = 1", "input is nan"),
        ("[models.m]\ninput = inf\noutput = 1", "input is inf"),
        ("[models.m]\ninput = true\noutput = 1", "input is True"),
        ('[models.m]\ninput = "1"\noutput = 1', "input is '1'"),
        ("[models.m]\ninput = 1\noutput = 1\nthinking = 1", "thinking"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, named: str) -> None:
    with pytest.raises(InvalidDataset, match=named):
        Prices.read(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="No such file"):
        Prices.read(tmp_path / "none.toml")
