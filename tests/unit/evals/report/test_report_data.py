"""The numbers of a report are those of the statistics, and page and Markdown show these."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_folders import MANIFEST, NEW, record, scores, thought, write

from limpide.core.errors import NotFound
from limpide.evals.prices import Prices
from limpide.evals.registration import promise, register
from limpide.evals.report import as_html, as_json, as_markdown, find_sources, report_data
from limpide.evals.statistics import budget_curve, mean_interval, paired_difference, paired_test, thinking_gain

SOURCES = [f"text {number // 2}" for number in range(60)]
OFF, BUDGET_64, LOW, NEW_OFF = (scores(share, 7) for share in (0.4, 0.6, 0.7, 0.55))


def report(folders: list[Path], prices: Path | None = None) -> dict[str, Any]:
    data = report_data(find_sources(folders), Prices.read(prices) if prices else None)
    assert json.loads(as_json(data)) == data  # it is plain data, and no number is rounded
    return data


def test_scores_slices_and_differences_are_those_of_the_statistics(folders: list[Path]) -> None:
    data = report(folders)
    first = data["runs"][0]
    assert first["score"] == mean_interval(OFF, SOURCES).as_dict()
    part = mean_interval(OFF[1::3], SOURCES[1::3]).as_dict()
    assert first["slices"]["none"] == part
    models, *thinking = data["comparisons"]
    assert (models["kind"], models["a"], models["b"], models["verdict"]) == ("models", "old-model", "new-model", None)
    tools = models["tasks"][0]
    assert tools["difference"] == paired_difference(OFF, NEW_OFF, SOURCES).as_dict()
    assert tools["test"]["p"] == paired_test(OFF, NEW_OFF, SOURCES).p
    assert [each["kind"] for each in thinking] == ["thinking", "thinking"]
    tokens = [[float(record(n, 0.0).answer_tokens + more) for n in range(60)] for more in (0, 0)]
    tokens[1] = [value + 180 + n for n, value in enumerate(tokens[0])]
    gain = thinking_gain(OFF, LOW, *tokens, SOURCES)
    low = thinking[1]["tasks"][0]
    assert low["difference"] == gain.score.as_dict()
    assert low["tokens_per_item"] == gain.tokens.as_dict()
    assert low["points_per_thousand_tokens"] == gain.points_per_thousand_tokens
    [curve] = data["curves"]
    middle = [value + 40 + n for n, value in enumerate(tokens[0])]
    found = budget_curve({0: OFF, 64: BUDGET_64, 256: LOW}, {0: tokens[0], 64: middle, 256: tokens[1]}, SOURCES)
    assert curve["points"] == found.as_dict()["points"]


def test_page_and_markdown_show_the_numbers_of_the_json(folders: list[Path], prices: Path) -> None:
    data = report(folders, prices)
    page, text = as_html(data), as_markdown(data)
    shown = re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ")
    for run in data["runs"]:
        for found in [run["score"], *run["slices"].values()]:
            share = run["unit"].startswith("score")
            level = f"{100 * found['mean']:.1f} %" if share else f"{found['mean']:.3f}"
            ends = [f"{100 * found[e]:.1f}" if share else f"{found[e]:.3f}" for e in ("low", "high")]
            for where in (shown, text.replace("\u00a0", " ")):
                assert level in where
                assert " to ".join(ends) in where
        assert run["manifest_sha256"] in page
        assert run["manifest_sha256"] in text
    for comparison in data["comparisons"]:
        for task in comparison["tasks"]:
            value = task["difference"]["difference"]
            told = f"{100 * value:+.1f}" if task["unit"].startswith("score") else f"{-value:+.3f}"
            assert told.replace("-", "−") in shown
            assert told.replace("-", "−") in text
    cost = data["runs"][0]["cost"]
    records = [record(n, s) for n, s in enumerate(OFF)]
    assert cost["total"] == pytest.approx(sum(r.prompt_tokens * 1e-6 + r.answer_tokens * 4e-6 for r in records))
    assert f"{1000 * cost['per_item']['mean']:.4g}" in shown


def test_bits_per_byte_go_down_when_b_is_better(folders: list[Path]) -> None:
    task = report(folders)["comparisons"][0]["tasks"][1]
    assert task["task"] == "perplexity"
    assert task["difference"]["difference"] > 0
    assert "−0.047 bits per byte | −0.062 to −0.031" in as_markdown(report(folders))


def test_hashes_are_those_of_the_files(folders: list[Path]) -> None:
    run = report(folders)["runs"][3]
    assert run["manifest_sha256"] == hashlib.sha256((folders[3] / "manifest.json").read_bytes()).hexdigest()
    assert run["items_sha256"] == hashlib.sha256((folders[3] / "items.jsonl").read_bytes()).hexdigest()


def test_a_margin_counts_only_between_the_runs_it_was_promised_for(tmp_path: Path) -> None:
    kept, other = tmp_path / "kept", tmp_path / "other"
    wrong = [record(n, 0.0) for n in range(60)]
    register(kept, replace(promise("old", "new", ("tools",), 0.1, 0.05), registered_at="2026-04-01T00:00:00+00:00"))
    write(kept / "a" / "tools", MANIFEST, [record(n, 1.0) for n in range(60)])
    write(kept / "b" / "tools", NEW, wrong)
    write(other, MANIFEST, [record(n, 1.0) for n in range(60)])
    [promised] = report([kept])["comparisons"]
    assert (promised["verdict"], promised["margin"]) == ("WORSE", 0.1)
    assert promised["margin_was"].startswith("registered before")
    assert '<span class="verdict worse">WORSE</span>' in as_html(report([kept]))
    assert "**WORSE** by a margin of 10 points" in as_markdown(report([kept]))
    for folders in ([other, kept / "b"], [kept / "b", kept / "a"]):  # another A; and B first
        assert report(folders)["comparisons"][0]["verdict"] is None


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    failed = replace(record(1, 0.0), score=None, error="EngineStopped: gone")
    hosted = replace(NEW.backend, weights_sha256=None)
    folders = [
        write(tmp_path / "a", MANIFEST, [record(0, 1.0, finish="length"), failed]),
        write(tmp_path / "b", replace(NEW, backend=hosted), []),
        write(tmp_path / "c", replace(MANIFEST, task="long"), [record(0, 1.0)]),
    ]
    data = report(folders)
    told = "\n".join(data["not_measured"])
    assert "old-model, thinking off: only 1 of 2 answers are there: tools." in told
    assert "old-model, thinking off: 1 items without a full answer, which are in no number: tools." in told
    assert "the limit cut off, graded as they stand (1): tools" in told
    assert "new-model, thinking off: not asked: long." in told
    assert "new-model, thinking off: not known which weights answered" in told
    assert "Cost: no list of prices was given." in told
    assert data["not_compared"][0]["why"].startswith("the two runs of tools share no item")
    assert "nothing was answered" in as_html(data)
    for line in data["not_measured"]:
        assert line in as_markdown(data)


def test_runs_are_read_once_and_a_folder_without_any_is_refused(folders: list[Path], tmp_path: Path) -> None:
    assert len(find_sources([folders[0].parent, folders[0], folders[0]])) == len(folders)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="empty"):
        find_sources([tmp_path / "empty"])


def test_a_second_run_of_the_same_is_compared_as_settings(tmp_path: Path) -> None:
    hot = replace(MANIFEST, sampling={"temperature": 0.7})
    folders = [
        write(tmp_path / "a", MANIFEST, [record(n, 1.0) for n in range(8)]),
        write(tmp_path / "b", hot, [record(n, float(n > 2)) for n in range(8)]),
    ]
    data = report(folders)
    assert [each["kind"] for each in data["comparisons"]] == ["settings"]
    assert "sampling.temperature was 0.0 for A and 0.7 for B" in as_html(data)


def test_items_that_differ_stand_side_by_side_with_their_thinking_folded(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / "a", MANIFEST, [record(n, 1.0) for n in range(40)]),
        write(tmp_path / "b", replace(MANIFEST, thinking="low"), [thought(n, 0.0, 30) for n in range(40)]),
    ]
    data = report(folders)
    page = as_html(data, items=3)
    assert page.count('<div class="item">') == 3
    assert "The first 3 are shown" in page
    assert page.count("<details><summary>Thinking, ") == 3
    assert len(data["comparisons"][0]["tasks"][0]["disagreements"]) == 40
    first = data["comparisons"][0]["tasks"][0]["disagreements"][0]
    assert (first["a"]["answer"], first["b"]["answer"]) == (
        f"The answer to question {first['item'][1:]} is right.",
        f"The answer to question {first['item'][1:]} is wrong.",
    )
