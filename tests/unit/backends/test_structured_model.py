"""Answers of a form from a real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from schema_family import SCHEMAS, Schema, check

from limpide.core.answers import collect
from limpide.core.shape import JsonObject, JsonSchema, Regex
from limpide.model import Model

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "country": {"type": "string", "maxLength": 20}},
    "required": ["city", "country"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model(smollm2_path: Path) -> Iterator[Model]:
    with Model(smollm2_path) as opened:
        yield opened


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(schema=SCHEMAS)
def test_any_schema(model: Model, schema: Schema) -> None:
    answer = model.ask("Tell me something.", shape=JsonSchema(schema), temperature=1.0, seed=1, max_tokens=300)
    if answer.finished.reason == "stop":
        check(schema, answer.text)
    else:
        assert answer.finished.receipt.parameters["shape"].status == "clamped"


def test_it_still_says_what_it_knows(model: Model) -> None:
    question = "The capital of France, as JSON with city and country."
    answer = model.ask(question, shape=JsonSchema(CITY), max_tokens=60)
    check(CITY, answer.text)
    said = json.loads(answer.text)
    assert (said["city"], said["country"].lower()) == ("Paris", "france")


def test_thinking_then_a_shape(model: Model) -> None:
    free = model.ask("Is 91 a prime number?", think=20, max_tokens=60)
    held = model.ask("Is 91 a prime number?", think=20, max_tokens=60, shape=Regex("yes|no"))
    assert held.thinking == free.thinking
    assert held.thinking
    assert held.text in ("yes", "no")
    assert free.text not in ("yes", "no")


def test_the_same_alone_and_among_strangers(smollm2_path: Path) -> None:
    asked = [
        {"prompt": "Name a city.", "shape": JsonSchema(CITY)},
        {"prompt": "Name three colours."},
        {"prompt": "Describe a cat.", "shape": JsonObject()},
    ]
    sampling = {"temperature": 0.8, "seed": 3, "max_tokens": 12}
    with Model(smollm2_path, numerics="exact") as model:  # docs/numerics.md: only these keep the last bits, too
        alone = [model.ask(**each, **sampling).text for each in asked]  # type: ignore[arg-type]
        streams = [model.stream(**each, **sampling) for each in asked]  # type: ignore[arg-type]
        assert [collect(stream)[0].text for stream in streams] == alone


def test_raw_text_goes_on_in_a_shape(model: Model) -> None:
    [answer] = collect(model.complete("The year of the French revolution is", shape=Regex(" 1[0-9]{3}"), max_tokens=9))
    assert answer.text.startswith(" 17")
