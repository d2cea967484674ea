"""What the sections say of small evidence, and that evidence of something else is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_card import BENCH, FACTS, make_card, record, write_run

from limpide.cards import Evidence, gather, verify, write_card
from limpide.cards.sampling import draw_sample
from limpide.cards.yaml import to_yaml
from limpide.core.errors import CorruptRun, NotComparable
from limpide.core.results import to_json
from limpide.evals.statistics import mean_interval
from sample_evidence import MANIFEST


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_card(tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("card"))


def section(card: Path, name: str) -> Any:
    return json.loads((card / "card.json").read_text())["sections"][name]["data"]


def test_intervals_are_those_of_the_statistics(card: Path) -> None:
    fast = section(card, "evaluation")["runs"][0]
    kept = Evidence.read(card).runs[0].run.records
    wanted = mean_interval([r.score or 0.0 for r in kept], [r.cluster for r in kept])
    found = fast["all"]
    assert (found["value"], found["items"], found["clusters"]) == (0.6, 10, 5)
    assert (found["low"], found["high"]) == pytest.approx((wanted.low, wanted.high), rel=1e-5)
    assert fast["slices"].keys() == {"a", "b"}


def test_exact_is_compared_with_fast(card: Path) -> None:
    [pair] = section(card, "numerics")["pairs"]
    assert (pair["exact"], pair["fast"]) == ("02-instructions", "01-instructions")
    assert (pair["same_answers"]["value"], pair["same_answers"]["items"]) == (0.9, 10)


def test_speed_is_that_of_the_measurement(card: Path) -> None:
    speed = section(card, "speed")
    assert speed["generation"]["value"] == pytest.approx(BENCH.generation.mean, rel=1e-5)
    assert speed["generation"]["low"] < 79.0
    assert speed["peak_rss_bytes"] == BENCH.peak_rss_bytes


def test_safety_says_what_it_is_and_what_was_not_measured(card: Path) -> None:
    safety = section(card, "safety")
    assert safety["runs"][0]["parts"]["harmless"]["value"] == 1.0
    assert safety["runs"][0]["parts"]["harmless"]["low"] < 1.0
    assert "bias between groups of people" in safety["not_measured"]


def test_repeats_are_averaged_and_errors_left_out_and_counted(tmp_path: Path) -> None:
    manifest = replace(MANIFEST, items=3, repeats=2)
    both = [replace(record(0, s), repeat=n) for n, s in enumerate((1.0, 0.0))]
    failed = replace(record(2, 0.0), score=None, error="ContextExceeded: too long")
    run = write_run(tmp_path / "run", manifest, [*both, record(4, 1.0), failed])
    write_card(tmp_path / "card", gather(tmp_path / "card", FACTS, [run]))
    [found] = section(tmp_path / "card", "evaluation")["runs"]
    assert (found["all"]["value"], found["all"]["items"]) == (0.75, 2)
    assert (found["answers"], found["errors"], found["wanted"], found["complete"]) == (3, 1, 6, False)
    assert "3 of 6, not complete" in (tmp_path / "card" / "README.md").read_text()


def test_names_make_no_markup(card: Path) -> None:
    assert "<b>" not in (card / "card.html").read_text()
    assert "SmolLM2 \\| \\<b\\>135M\\</b\\>" in (card / "README.md").read_text()


@pytest.mark.parametrize("what", ["run", "bench"])
def test_evidence_of_other_weights_is_refused_and_leaves_nothing(what: str, tmp_path: Path) -> None:
    other = replace(MANIFEST, backend=replace(MANIFEST.backend, weights_sha256="ff"))
    run = write_run(tmp_path / "run", other if what == "run" else MANIFEST, [record(0, 1.0)])
    bench = tmp_path / "bench.json"
    bench.write_text(to_json(replace(BENCH, weights_sha256="ff" if what == "bench" else "bb").as_dict()))
    with pytest.raises(NotComparable, match="is of the weights ff"):
        gather(tmp_path / "card", FACTS, [run], bench)
    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_samples": ["a"]},
        {"generation_tokens_per_second": 1e6},
        {"machine": 3},
        {"threads": 2.5},
        {"load_seconds": 10**400},
        {"more": 1},
        {"read_bandwidth": 0},
    ],
)
def test_a_measurement_that_was_edited_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps(BENCH.as_dict() | change))
    with pytest.raises(CorruptRun, match="no measurement of speed"):
        gather(tmp_path / "card", FACTS, [], bench)


def passage(number: int, size: Any) -> Any:
    return replace(record(number, 80.0 + number), finish=None, detail={"tokens": 40, "bytes": size})


def test_passages_are_in_bits_per_byte(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MANIFEST, [passage(n, 100) for n in range(3)])
    write_card(tmp_path / "card", gather(tmp_path / "card", FACTS, [run]))
    [found] = section(tmp_path / "card", "evaluation")["runs"]
    assert found["all"]["unit"] == "bits per byte"
    assert found["all"]["value"] == pytest.approx(81 / math.log(2) / 100, rel=1e-5)


@pytest.mark.parametrize("size", [0, -1, "many", True, 1.5])
def test_a_passage_of_no_size_is_a_finding(size: Any, tmp_path: Path) -> None:
    card = make_card(tmp_path, tmp_path / "card")
    (card / "evidence/runs/01-instructions/items.jsonl").write_text(to_json(passage(0, size).as_dict()) + "\n")
    assert any("bytes" in finding.what for finding in verify(card) if finding.where == "evidence")


def test_a_run_that_was_cut_off_leaves_no_half_card(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MANIFEST, [record(0, 1.0)])
    with (run / "items.jsonl").open("a") as file:
        file.write('{"schema"')
    with pytest.raises(CorruptRun, match="line 2 has no end"):
        gather(tmp_path / "card", FACTS, [run])
    assert not (tmp_path / "card" / "evidence").exists()


def test_the_sample_follows_from_its_seed(card: Path) -> None:
    evidence = Evidence.read(card)
    drawn = [draw_sample(evidence, 5, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert sum(len(chosen.items) for chosen in drawn[0]) == 5


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z_]{2,8}z", fullmatch=True), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(PLAIN)
def test_yaml_comes_back_as_it_was(data: Any) -> None:
    assert yaml.safe_load(to_yaml(data)) == data
