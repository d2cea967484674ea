from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from limpide.core.errors import InvalidParameter
from limpide.core.evidence import ItemRecord, RunManifest
from limpide.core.results import to_json
from sample_evidence import MANIFEST, RECORD


@pytest.mark.parametrize("record", [MANIFEST, RECORD], ids=lambda record: type(record).__name__)
def test_json_both_ways(record: Any) -> None:
    assert type(record).from_dict(json.loads(to_json(record.as_dict()))) == record


def changed(name: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: {**data, name: value}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (changed("schema", "limpide.item/2"), "schema"),
        (changed("extra", 1), "record.extra"),
        (lambda data: {k: v for k, v in data.items() if k != "seconds"}, "also seconds"),
        (changed("score", "1.0"), "record.score"),
        (changed("score", True), "record.score"),
        (changed("score", None), "score can't be None"),
        (changed("error", "Boom: x"), "score can't be 1.0"),
        (changed("repeat", 0.0), "record.repeat"),
        (changed("answer", None), "record.answer"),
        (changed("tool_calls", [{"name": 1}]), "record.tool_calls[0].name"),
        (changed("detail", []), "record.detail"),
        (lambda _: [], "record"),
    ],
)
def test_what_is_not_a_record_is_refused_by_name(change: Callable[..., object], named: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        ItemRecord.from_dict(change(RECORD.as_dict()))
    assert named in str(caught.value)


def test_nested_fields_are_read_as_strictly() -> None:
    data = MANIFEST.as_dict()
    data["backend"] = {**data["backend"], "numerics": "roughly"}
    with pytest.raises(InvalidParameter, match=r"manifest.backend.numerics"):
        RunManifest.from_dict(data)


def test_a_score_is_a_number() -> None:
    with pytest.raises(InvalidParameter, match="score"):
        replace(RECORD, score=float("nan"))


def test_differences_are_named_and_moments_are_none() -> None:
    other = replace(
        MANIFEST,
        run_id="r2",
        started_at="later",
        seed=8,
        backend=replace(MANIFEST.backend, weights_sha256="ee"),
        sampling={**MANIFEST.sampling, "max_tokens": 65},
    )
    assert list(MANIFEST.differences(replace(MANIFEST, run_id="r2", started_at="later"))) == []
    assert list(MANIFEST.differences(other)) == [
        ("backend.weights_sha256", "bb", "ee"),
        ("sampling.max_tokens", 64, 65),
        ("seed", 7, 8),
    ]
