from __future__ import annotations

import json
import statistics
from types import MappingProxyType

import pytest

from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Outcome
from limpide.core.results import BenchResult, Measurement, to_json


def result() -> BenchResult:
    return BenchResult(
        model="m",
        architecture="llama",
        weights_sha256=None,
        numerics="fast",
        threads=2,
        prompt_tokens=512,
        generation_tokens=128,
        prompt=Measurement((1000.0, 1100.0, 1060.0)),
        generation=Measurement((100.0, 110.0)),
        bytes_per_token=100_000_000,
        read_bandwidth=20e9,
        load_seconds=0.5,
        peak_rss_bytes=3 * 10**8,
        program_rss_bytes=10**8,
        cache_bytes=10**7,
        machine={"cores": 2},
        versions={"limpide": "0"},
        measured_at="2026-11-22T05:00:00+00:00",
    )


def test_mean_and_sample_deviation() -> None:
    samples = (3.0, 1.0, 4.0, 1.0, 5.0)
    measured = Measurement(samples)
    assert measured.mean == pytest.approx(statistics.mean(samples))
    assert measured.sd == pytest.approx(statistics.stdev(samples))
    assert Measurement((2.0,)).sd == 0.0


@pytest.mark.parametrize("samples", [(), (float("nan"),), (1.0, float("inf"))])
def test_measurements_are_numbers(samples: tuple[float, ...]) -> None:
    with pytest.raises(InvalidParameter):
        Measurement(samples)


def test_bandwidth_fraction_is_bytes_times_speed_over_bandwidth() -> None:
    assert result().bandwidth_fraction == pytest.approx(1e8 * 105 / 20e9)


def test_a_record_survives_json() -> None:
    record = json.loads(to_json(result().as_dict()))
    assert BenchResult.from_dict(record) == result()
    assert record["schema"] == "limpide.bench/1"
    assert record["prompt_tokens_per_second"] == pytest.approx(1053.333, abs=1e-3)
    assert {"generation_tokens_per_second", "bandwidth_fraction", "load_seconds", "peak_rss_bytes"} <= record.keys()


def test_another_schema_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="schema"):
        BenchResult.from_dict({**result().as_dict(), "schema": "limpide.bench/2"})
    with pytest.raises(InvalidParameter, match="threads"):
        BenchResult.from_dict({name: value for name, value in result().as_dict().items() if name != "threads"})


def test_json_of_nested_records() -> None:
    data = {"a": Outcome("applied", MappingProxyType({"x": b"\x01\xff"}), (1, 2)), "b": frozenset({2, 1}), "é": "é"}
    text = to_json(data)
    assert json.loads(text) == {
        "a": {"status": "applied", "requested": {"x": [1, 255]}, "effective": [1, 2], "why": None},
        "b": [1, 2],
        "é": "é",
    }
    assert "é" in text
    with pytest.raises(ValueError):
        to_json(float("nan"))
    with pytest.raises(TypeError):
        to_json(object())
