"""`limpide card` and `limpide verify` on the real SmolLM2."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from limpide.cards import Evidence, write_card
from limpide.cli.running import run
from limpide.cli.verify import EXIT_WRONG

pytestmark = pytest.mark.usefixtures("smollm2_path")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    for asked in (("english", "--limit", "11"), ("instructions", "--limit", "4", "--max-tokens", "24")):
        assert run(["eval", "smollm2-135m", "--task", *asked, "-o", str(folder / "runs")]) == 0
    assert run(["card", "smollm2-135m", "--runs", str(folder / "runs"), "-o", str(folder / "card")]) == 0
    return folder / "card"


@pytest.fixture
def card(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "card"))


def test_the_card_says_what_the_weights_and_the_records_say(card: Path) -> None:
    found = json.loads((card / "card.json").read_text())
    what, licence = (found["sections"][name]["data"] for name in ("what", "licence"))
    assert (what["architecture"], what["parameters"], what["context"]) == ("llama", 134_515_008, 8192)
    assert what["formats"][0]["name"] == "Q4_1"
    assert licence["terms"][0]["spdx"] == "Apache-2.0"
    assert licence["terms"][0]["obligations"]
    english = next(r for r in found["sections"]["evaluation"]["data"]["runs"] if r["task"] == "english")
    lines = (card / english["evidence"]["folder"] / "items.jsonl").read_text()
    records = [json.loads(line) for line in lines.splitlines()]
    assert english["all"]["value"] == pytest.approx(sum(r["score"] for r in records) / len(records), abs=1e-6)
    assert english["all"]["low"] < english["all"]["value"] < english["all"]["high"]
    assert [found["sections"][name]["data"] for name in ("speed", "numerics", "safety")] == [None] * 3
    assert (card / "README.md").read_text().count("Not measured.") == 3


def test_the_hub_reads_the_metadata(card: Path) -> None:
    from huggingface_hub import ModelCard

    loaded = ModelCard.load(card / "README.md").data
    assert loaded.license == "apache-2.0"
    runs = json.loads((card / "card.json").read_text())["sections"]["evaluation"]["data"]["runs"]
    assert [r.metric_value for r in loaded.eval_results] == [r["all"]["value"] for r in runs]
    files = [yaml.safe_load(path.read_text()) for path in sorted((card / ".eval_results").iterdir())]
    assert [entry["value"] for [entry] in files] == [r["all"]["value"] for r in runs]


def test_a_good_card_is_good_and_the_model_says_the_same(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(card), "--sample", "15"]) == 0
    assert "15 items asked again: the same answers" in capsys.readouterr().out


def test_the_same_weights_by_another_name_say_the_same(card: Path, smollm2_path: Path) -> None:
    assert run(["verify", str(card / "card.json"), "--model", str(smollm2_path), "--sample", "2"]) == 0


def test_other_weights_are_named(card: Path, gemma3_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(card), "--model", str(gemma3_path)]) == EXIT_WRONG
    assert "weights_sha256: on record 'b179c9523d0e" in capsys.readouterr().out


def test_one_changed_digit_is_found(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = card / "README.md"
    path.write_text(re.sub(r"134,515,008", "134,515,009", path.read_text(), count=1))
    assert run(["verify", str(card), "--sample", "0", "--json"]) == EXIT_WRONG
    [finding] = json.loads(capsys.readouterr().out)["findings"]
    assert finding["where"].startswith("README.md, line ")
    assert "134,515,009" in finding["what"]


def test_a_forgery_that_is_consistent_is_found_by_asking_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records are changed and a card is made of them: only the model can tell."""
    runs, forged = tmp_path / "runs", tmp_path / "forged"
    shutil.copytree(made / "evidence" / "runs", runs)
    for path in runs.glob("*/items.jsonl"):
        path.write_text(path.read_text().replace('"score": 0.0', '"score": 1.0'))
    assert run(["card", "smollm2-135m", "--runs", str(runs), "-o", str(forged)]) == 0
    assert run(["verify", str(forged), "--sample", "0"]) == 0
    capsys.readouterr()
    assert run(["verify", str(forged), "--sample", "15"]) == EXIT_WRONG
    assert "score: on record 1.0; the model now gives 0.0" in capsys.readouterr().out


def test_a_forged_size_is_found_in_the_weights(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads((card / "evidence" / "model.json").read_text()) | {"parameters": 7_000_000_000}
    (card / "evidence" / "model.json").write_text(json.dumps(facts))
    write_card(card, Evidence.read(card))
    assert run(["verify", str(card), "--sample", "0"]) == 0
    assert run(["verify", str(card)]) == EXIT_WRONG
    assert "parameters: on record 7000000000; the weights say 134515008" in capsys.readouterr().out


def test_what_is_no_card_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(tmp_path)]) == 2
    assert "there is no card" in capsys.readouterr().err


def test_a_card_is_not_written_over(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["card", "smollm2-135m", "-o", str(made)]) == 2
    assert "a folder without a card" in capsys.readouterr().err
